import { expect, test } from "vitest";
import { addressGroup } from "./address.ts";

test("an IPv4 address counts for itself, in either notation", () => {
  expect(addressGroup("192.0.2.7")).toBe("192.0.2.7");
  expect(addressGroup("::ffff:192.0.2.7")).toBe("192.0.2.7");
});

test("all IPv6 addresses of a subscriber count as one", () => {
  const group = addressGroup("2001:db8:0:12:1:2:3:4");
  expect(addressGroup("2001:0DB8:0000:0012::1")).toBe(group);
  expect(addressGroup("2001:db8::12:ffff:2:3:4")).toBe(group);
  expect(addressGroup("2001:db8:0:13::1")).not.toBe(group);
});

test("what is no address counts as it is", () => {
  expect(addressGroup(" Unknown ")).toBe("unknown");
  expect(addressGroup("::1")).toBe("0:0:0:0::/64");
});
