import { v7 as uuidv7 } from "uuid";
import { expect, test } from "vitest";
import { createMarker, mark } from "./marking.ts";

const order = "019a6f2e-5b1c-7def-8a12-0123456789ab";
const sku = "019a6f2e-0000-7aaa-9b12-ba9876543210";
const operator = "00000000-0000-7000-8000-00000000c0de";

test("ids and names of an order are marked wherever they stand; goods and programs keep theirs", () => {
  const marked = createMarker({ unlike: new Set(["8VXKT0Q2MN", "auth_4f-A_"]), alike: new Set([sku]) });
  const ours = `019a6f2e-5b1c-7def-8a12-01${mark}89ab`;
  expect(marked(order)).toBe(ours);
  expect(marked(`{${order},${sku}}`)).toBe(`{${ours},${sku}}`);
  expect(marked(`{"orderId":"${order}","skuId":"${sku}","by":"${operator}","number":"8VXKT0Q2MN"}`)).toBe(
    `{"orderId":"${ours}","skuId":"${sku}","by":"${operator}","number":"8VXKT0Q2MN${mark}"}`,
  );
  expect(marked(`${order}:CAPTURE:1:1`)).toBe(`${ours}:CAPTURE:1:1`);
  expect(marked(`parcel-${order} auth_4f-A_`)).toBe(`parcel-${ours} auth_4f-A_${mark}`);
  expect(marked("8VXKT0Q2MNX 2026-11-21 10:00:00+00")).toBe("8VXKT0Q2MNX 2026-11-21 10:00:00+00");
});

test("ids that a process makes in one moment stay different", () => {
  const marked = createMarker({ unlike: new Set(), alike: new Set() });
  const ids = Array.from({ length: 20_000 }, () => uuidv7());
  expect(new Set(ids.map(marked)).size).toBe(ids.length);
});
