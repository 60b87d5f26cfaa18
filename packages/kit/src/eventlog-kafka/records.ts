import { createHash } from "node:crypto";
import type { IHeaders, KafkaMessage } from "kafkajs";
import { validate as isUuid } from "uuid";
import type { DeliveredEvent, EventRecord } from "../eventlog.ts";

// CloudEvents 1.0, Kafka protocol binding, binary mode: attributes are headers with the prefix ce_, the value is the
// data alone. Extensions: sequence, partitionkey and ours, republished. The trace context has its own W3C header.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md

/** A message before it is sent; `data` is JSON. */
export interface OutgoingMessage {
  key: string;
  value: string;
  headers: Record<string, string>;
  bytes: number;
}

export function toMessage(topic: string, event: Omit<EventRecord, "data">, data: string): OutgoingMessage {
  const headers: Record<string, string> = {
    ce_specversion: "1.0",
    ce_id: event.id,
    ce_source: `/crowdcrunch/${topic}`,
    ce_type: event.type,
    ce_subject: event.subject,
    ce_time: event.time,
    ce_dataschema: `urn:crowdcrunch:event:${event.type}`,
    ce_sequence: String(event.sequence),
    ce_partitionkey: event.key,
    "content-type": "application/json",
  };
  if (event.traceparent !== undefined) headers["traceparent"] = event.traceparent;
  if (event.republished) headers["ce_republished"] = "true";
  return { key: event.key, value: data, headers, bytes: Buffer.byteLength(data) };
}

/**
 * What no publisher of ours wrote comes with an id of its place, an empty type, which nobody has declared, and as text
 * where it is no JSON: so that it can be parked and does not hold up what is behind it.
 */
export function toEvent(topic: string, partition: number, message: KafkaMessage): DeliveredEvent {
  const headers = message.headers ?? {};
  const traceparent = headerOf(headers, "traceparent");
  const told = headerOf(headers, "ce_id") ?? "";
  const id = isUuid(told) ? told : idOfPlace(topic, partition, message);
  const sequence = Number(headerOf(headers, "ce_sequence") ?? 0);
  return {
    id,
    type: headerOf(headers, "ce_type") ?? "",
    key: textOf(message.key) ?? "",
    subject: headerOf(headers, "ce_subject") ?? id,
    sequence: Number.isSafeInteger(sequence) ? sequence : 0,
    time: headerOf(headers, "ce_time") ?? "",
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(headerOf(headers, "ce_republished") === "true" ? { republished: true } : {}),
    data: dataOf(message.value),
    topic,
    partition,
    offset: Number(message.offset),
  };
}

/** The same whenever it is read, and with the time of its append, as ids of events have theirs. */
function idOfPlace(topic: string, partition: number, { timestamp, offset }: KafkaMessage): string {
  const time = Number(timestamp).toString(16).padStart(12, "0");
  const hash = createHash("sha256").update(`${topic} ${partition} ${offset}`).digest("hex");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 18)}`;
}

function headerOf(headers: IHeaders, name: string): string | undefined {
  const value = headers[name];
  return textOf(Array.isArray(value) ? value[0] : value);
}

/** Without zero bytes, which the database does not keep. */
function textOf(value: Buffer | string | null | undefined): string | undefined {
  return value?.toString().replaceAll("\0", "");
}

function dataOf(value: Buffer | null): unknown {
  const text = value?.toString() ?? "null";
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
