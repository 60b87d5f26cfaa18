import type { IHeaders, KafkaMessage } from "kafkajs";
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

/** What no publisher of ours wrote comes with an empty type, which no handler asks for; data that is no JSON comes as text. */
export function toEvent(topic: string, partition: number, message: KafkaMessage): DeliveredEvent {
  const headers = message.headers ?? {};
  const traceparent = headerOf(headers, "traceparent");
  return {
    id: headerOf(headers, "ce_id") ?? "",
    type: headerOf(headers, "ce_type") ?? "",
    key: message.key?.toString() ?? "",
    subject: headerOf(headers, "ce_subject") ?? "",
    sequence: Number(headerOf(headers, "ce_sequence") ?? 0),
    time: headerOf(headers, "ce_time") ?? "",
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(headerOf(headers, "ce_republished") === "true" ? { republished: true } : {}),
    data: dataOf(message.value),
    topic,
    partition,
    offset: Number(message.offset),
  };
}

function headerOf(headers: IHeaders, name: string): string | undefined {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value)?.toString();
}

function dataOf(value: Buffer | null): unknown {
  const text = value?.toString() ?? "null";
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
