"use strict";

// Draws openapi.json. Texts go in as text, never as markup.
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
};

// `this` in a description is code.
const prose = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));

const resolve = (api, node) =>
  node && node.$ref ? node.$ref.slice(2).split("/").reduce((found, step) => found[step], api) : node;

const typeOf = (api, schema) => {
  const plain = resolve(api, schema);
  if (!plain) return "any";
  if (plain.const !== undefined) return JSON.stringify(plain.const);
  if (plain.enum) return plain.enum.map((item) => JSON.stringify(item)).join(" | ");
  if (plain.type === "array") return "array of " + (plain.items.$ref ? plain.items.$ref.split("/").pop() : typeOf(api, plain.items));
  if (plain.anyOf) return plain.anyOf.map((item) => (item.format ? item.format : typeOf(api, item))).join(" or ");
  return plain.format || plain.type || "any";
};

const limits = (schema) =>
  [
    schema.minimum !== undefined && "≥ " + schema.minimum,
    schema.maximum !== undefined && "≤ " + schema.maximum,
    schema.maxLength !== undefined && "at most " + schema.maxLength + " characters",
    schema.maxItems !== undefined && "at most " + schema.maxItems + " items",
    schema.default !== undefined && schema.default !== null && schema.default !== "" && "default " + JSON.stringify(schema.default),
  ].filter(Boolean).join(", ");

const fieldTable = (api, name, seen = new Set()) => {
  const schema = api.components.schemas[name];
  if (!schema || !schema.properties || seen.has(name)) return [];
  seen.add(name);
  const needed = new Set(schema.required || []);
  const rows = Object.entries(schema.properties).map(([field, raw]) => {
    const plain = resolve(api, raw);
    const told = [raw.description || plain.description, limits(plain)].filter(Boolean).join(" · ");
    return make("tr", {},
      make("td", {}, make("code", {}, field), needed.has(field) ? make("span", { class: "need", title: "required" }, " *") : ""),
      make("td", {}, typeOf(api, raw)), make("td", { class: "soft" }, ...prose(told)));
  });
  const inner = Object.values(schema.properties).flatMap((raw) => {
    const target = raw.items || raw;
    return target.$ref ? fieldTable(api, target.$ref.split("/").pop(), seen) : [];
  });
  return [make("h3", {}, name), make("table", {}, ...rows), ...inner];
};

const pretty = (text) => {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
};

const quote = (text) => "'" + text.replaceAll("'", "'\\''") + "'";

const form = (api, path, verb, operation) => {
  const inputs = [];
  const fields = operation.parameters.map((parameter) => {
    const box = make("input", { name: parameter.name, autocomplete: "off", spellcheck: "false" });
    if (parameter.in === "path") box.value = parameter.example ?? "";
    else box.placeholder = String(parameter.schema.default ?? parameter.example ?? "");
    inputs.push([parameter, box]);
    return make("label", {},
      make("span", {}, make("code", {}, parameter.name), parameter.required ? make("span", { class: "need" }, " *") : ""),
      box, make("span", { class: "soft" }, ...prose(parameter.description || "")));
  });
  const media = operation.requestBody && operation.requestBody.content["application/json"];
  const area = media ? make("textarea", { spellcheck: "false", "aria-label": "body" }) : null;
  if (area) {
    area.value = JSON.stringify(media.examples.typical.value, null, 2);
    area.rows = Math.min(area.value.split("\n").length + 1, 28);
  }
  const result = make("div", { "aria-live": "polite" });

  const send = async (event) => {
    event.preventDefault();
    const query = new URLSearchParams();
    const headers = {};
    let target = path;
    for (const [parameter, box] of inputs) {
      if (parameter.in === "path") target = target.replace("{" + parameter.name + "}", encodeURIComponent(box.value));
      else if (box.value && parameter.in === "query") query.set(parameter.name, box.value);
      else if (box.value) headers[parameter.name] = box.value;
    }
    if (String(query)) target += "?" + query;
    if (area) headers["Content-Type"] = "application/json";
    const flags = Object.entries(headers).map(([name, value]) => " -H " + quote(name + ": " + value)).join("");
    const curl = "curl -sS" + (verb === "get" ? "" : " -X " + verb.toUpperCase()) + " " + quote(location.origin + target) + flags
      + (area ? " -d " + quote(area.value) : "");
    try {
      const began = performance.now();
      const answer = await fetch(target, { method: verb.toUpperCase(), headers, body: area ? area.value : undefined });
      const text = await answer.text();
      const lines = [...answer.headers].map(([name, value]) => name + ": " + value).join("\n");
      const took = Math.round(performance.now() - began);
      result.replaceChildren(make("h3", {}, answer.status + " " + answer.statusText + " ", make("span", { class: "soft" }, took + " ms")),
        make("pre", {}, lines), text ? make("pre", {}, pretty(text)) : "", make("pre", {}, curl));
    } catch (error) {
      result.replaceChildren(make("h3", {}, "No answer"), make("pre", {}, String(error)), make("pre", {}, curl));
    }
  };
  return make("form", { onsubmit: send, novalidate: "" }, make("h3", {}, "Try it"), ...fields,
    area ? make("h3", {}, "Body") : null, area, make("button", { type: "submit" }, "Send"), result);
};

const responses = (api, operation) => {
  const given = {};
  const rows = Object.entries(operation.responses).map(([status, raw]) => {
    const plain = resolve(api, raw);
    Object.assign(given, plain.headers);
    return make("tr", {}, make("td", {}, make("code", {}, status)), make("td", {}, plain.description));
  });
  const headers = Object.entries(given).map(([name, raw]) =>
    make("tr", {}, make("td", {}, make("code", {}, name)), make("td", { class: "soft" }, ...prose(resolve(api, raw).description))));
  return [make("h3", {}, "Answers"), make("table", {}, ...rows), make("h3", {}, "Their headers"), make("table", {}, ...headers)];
};

const schemasOf = (operation) => {
  const success = Object.entries(operation.responses).find(([status]) => status < 300);
  const body = operation.requestBody && operation.requestBody.content["application/json"].schema;
  const answer = success && success[1].content && success[1].content["application/json"] && success[1].content["application/json"].schema;
  return [body, answer].filter((schema) => schema && schema.$ref).map((schema) => schema.$ref.split("/").pop());
};

const card = (api, path, verb, operation) => {
  const summary = make("summary", {}, make("span", { class: "verb " + verb }, verb.toUpperCase()),
    make("code", { class: "path" }, path), make("span", { class: "what" }, operation.summary));
  const details = make("details", {}, summary);
  // Drawn when first opened: the page is there at once.
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    const fields = schemasOf(operation).flatMap((name) => fieldTable(api, name));
    details.append(make("div", { class: "inside" },
      operation.description ? make("p", { class: "soft" }, ...prose(operation.description)) : null,
      form(api, path, verb, operation),
      fields.length ? make("details", { class: "more" }, make("summary", {}, "Fields"), ...fields) : null,
      make("details", { class: "more" }, make("summary", {}, "Every answer"), ...responses(api, operation))));
  });
  return make("article", { id: operation.operationId }, details);
};

const open = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target) { target.querySelector("details").open = true; target.scrollIntoView(); }
};

const draw = (api) => {
  const main = document.querySelector("main");
  const nav = document.querySelector("nav");
  document.title = api.info.title + " API";
  nav.replaceChildren(make("strong", {}, api.info.title), make("span", { class: "soft" }, api.info.summary));
  main.replaceChildren(make("h1", {}, api.info.title, make("small", {}, "version " + api.info.version)),
    ...api.info.description.trim().split("\n\n").map((text) => make("p", { class: "lead" }, ...prose(text))),
    make("p", {}, make("a", { href: "/openapi.json" }, "/openapi.json"), " is this page for machines."));
  for (const tag of api.tags) {
    main.append(make("h2", {}, tag.name), make("p", { class: "soft" }, tag.description));
    nav.append(make("h2", {}, tag.name));
    for (const [path, verbs] of Object.entries(api.paths)) {
      for (const [verb, operation] of Object.entries(verbs).filter(([, item]) => item.tags.includes(tag.name))) {
        main.append(card(api, path, verb, operation));
        nav.append(make("a", { href: "#" + operation.operationId, title: operation.summary },
          make("span", { class: "verb " + verb }, verb.toUpperCase()), make("span", {}, path)));
      }
    }
  }
  addEventListener("hashchange", open);
  open();
};

fetch("/openapi.json").then((answer) => answer.json()).then(draw).catch((error) => {
  document.querySelector("main").replaceChildren(make("p", { class: "lead" }, "/openapi.json could not be read: " + error));
});
