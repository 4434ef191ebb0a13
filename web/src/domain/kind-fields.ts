/** What a kind of credential or channel asks for. It comes from the JSON schemas that the server gives for the kind. */

/** One property of a kind's schema. */
export interface KindField {
  name: string;
  title: string;
  help?: string;
  choices?: string[];
  lines: boolean;
  required: boolean;
  most: number;
}

interface Schema {
  properties?: Record<
    string,
    {
      title?: string;
      description?: string;
      enum?: string[];
      maxLength?: number;
      "x-lines"?: boolean;
    }
  >;
  required?: string[];
  "x-order"?: string[];
}

export type Values = Record<string, string>;

export function fieldsOf(schema: Record<string, unknown>): KindField[] {
  const { properties = {}, required = [], "x-order": order = Object.keys(properties) } = schema as Schema;
  return order.map((name) => ({
    name,
    title: properties[name]?.title ?? name,
    help: properties[name]?.description,
    choices: properties[name]?.enum,
    lines: properties[name]?.["x-lines"] ?? false,
    required: required.includes(name),
    most: properties[name]?.maxLength ?? 256,
  }));
}

/** What a form begins with: what is known, else the first choice. */
export function beginning(fields: KindField[], known: Values = {}): Values {
  return Object.fromEntries(fields.map(({ name, choices }) => [name, known[name] ?? choices?.[0] ?? ""]));
}

const mailPorts: Record<string, string> = { starttls: "587", tls: "465", none: "25" };

/** The port that is used while the field for it is empty. */
export function usualPort(field: KindField, { security }: Values): string | undefined {
  return field.name === "port" && security ? mailPorts[security] : undefined;
}

/** What is empty is left out. */
export function filled(fields: KindField[], values: Values): Values {
  return Object.fromEntries(
    fields.flatMap(({ name }) => {
      const text = values[name] ?? "";
      return text === "" ? [] : [[name, text] as const];
    }),
  );
}

/** A form can be saved without it. A password of something that is switched on is none of these. */
export function isOptional(field: KindField, values: Values): boolean {
  const by = switchOf(field);
  return !field.required && !field.choices && (by === field.name || !(by in values));
}

const switchOf = ({ name }: KindField): string => name.replace(/_password$/, "");

/** A password of something that is switched off is not asked for. */
export function isAsked(field: KindField, values: Values): boolean {
  return values[switchOf(field)] !== "none";
}
