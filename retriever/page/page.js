"use strict";
// Text of documents goes in as textContent alone; the key lives in this variable alone.
let key = "";
const WORDS = {
  en: {},
  fr: {
    tongue: "Langue", key: "Clé d’API", use: "Utiliser cette clé", collection: "Collection", question: "Question",
    filters: "Filtres", prefix: "Le chemin commence par", theme: "Thème", kind: "Type de document",
    language: "Langue du document", from: "Du", until: "Au", left: "Version", right: "Comparer avec",
    search: "Chercher", versions: "Versions", version: "Version", published: "Publiée", channels: "Canaux",
    documents: "Documents", chunks: "Extraits", changed: "Ce qui a changé", served: "celle qui répond", none: "aucune",
    hits: "résultats", page: "page", age: "Âge en heures de la version qui répond : ", searching: "Recherche…",
    needed: "Une clé est nécessaire.", dense: "vecteurs", lexical: "mots", fused: "fusion", rerank: "reclassement",
    added: "ajoutés", moved: "déplacés", removed: "retirés", kept: "gardés", rejected: "rejetés",
    edited: "modifiés", slide: "diapositive", sheet: "feuille", rows: "lignes", no: "Pas de réponse du serveur.",
    report: "La page de cette version",
  },
};
const ENGLISH = {
  served: "the one that answers", none: "none", hits: "hits", page: "page",
  age: "Age in hours of the version that answers: ", searching: "Searching…", needed: "A key is needed.",
  edited: "changed", slide: "slide", sheet: "sheet", rows: "rows", no: "The server does not answer.", report: "The page of this version",
};
const at = (id) => document.getElementById(id);
const tongue = () => document.documentElement.lang;
const say = (name) => WORDS[tongue()][name] ?? ENGLISH[name] ?? WORDS.en[name] ?? name;

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function translate() {
  document.documentElement.lang = at("tongue").value;
  for (const each of document.querySelectorAll("[data-say]")) each.textContent = say(each.dataset.say);
}

async function ask(path, body) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const sent = body && { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(path, { headers, ...sent }).catch(() => { throw new Error(say("no")); });
  if (answer.status === 401) {
    at("key-form").hidden = false;
    at("key").focus();
    throw new Error(say("needed"));
  }
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.error.message);
  return json;
}

async function telling(work) {
  try {
    at("note").textContent = "";
    await work();
  } catch (error) {
    at("note").textContent = error.message;
  }
}

function fill(select, choices) {
  const before = select.value;
  select.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
  if (choices.some(([value]) => value === before)) select.value = before;
}

async function showCollections() {
  const status = await ask("/status");
  fill(at("collection"), status.collections.map((each) => [each.name, each.name]));
  await showVersions();
}

async function showVersions() {
  const name = at("collection").value;
  if (!name) return;
  const { served, age_s: age, versions } = await ask(`/v1/collections/${encodeURIComponent(name)}/versions`);
  const choices = versions.map((each) => [each.version, each.version.slice(0, 12)]);
  fill(at("left"), [["", say("served")], ...choices]);
  fill(at("right"), [["", say("none")], ...choices]);
  at("fresh").textContent = age === null ? "" : say("age") + (age / 3600).toFixed(1);
  at("versions").replaceChildren(...versions.map((each) => row(each, served)));
}

function row(each, served) {
  const line = element("tr");
  const mark = each.version === served ? ` (${say("served")})` : "";
  const changes = Object.entries(each.changes).filter(([, count]) => count)
    .map(([name, count]) => `${count} ${say(name === "changed" ? "edited" : name)}`);
  const cells = [each.version.slice(0, 12) + mark, new Date(each.published_at_ms).toLocaleString(tongue()),
    each.channels.join(", "), each.documents, each.chunks, changes.join(", ")];
  line.append(...cells.map((text) => element("td", text)));
  if (Object.keys(each.changes).length) line.firstChild.replaceChildren(reportLink(each.version, cells[0]));
  return line;
}

function reportLink(version, text) {
  const link = element("a", text);
  link.href = `/v1/collections/${encodeURIComponent(at("collection").value)}/versions/${version}/report`;
  link.target = "_blank";
  link.rel = "noopener";
  link.title = say("report");
  link.addEventListener("click", (event) => {
    if (!key) return; // a browser follows the link by itself, without a key
    event.preventDefault();
    telling(() => openReport(link.href));
  });
  return link;
}

// A link bears no key, so the page is fetched with it. Its style is taken over as a sheet, for this page's policy
// lets no style in that stands in a document; scripts of a parsed document never run.
async function openReport(url) {
  const opened = window.open("about:blank");
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${key}` } });
  if (!answer.ok) {
    opened.close();
    throw new Error((await answer.json()).error.message);
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const sheet = new opened.CSSStyleSheet();
  sheet.replaceSync([...page.querySelectorAll("style")].map((each) => each.textContent).join("\n"));
  for (const each of page.querySelectorAll("style, meta")) each.remove();
  for (const each of page.querySelectorAll('a[href^="#"]')) each.addEventListener("click", (event) => {
    event.preventDefault(); // an address of its own is what this window lacks
    opened.document.getElementById(each.hash.slice(1))?.scrollIntoView();
  });
  opened.document.replaceChild(opened.document.adoptNode(page.documentElement), opened.document.documentElement);
  opened.document.adoptedStyleSheets = [sheet];
}

function question() {
  const filter = {};
  for (const id of ["path_prefix", "date_from", "date_until"]) if (at(id).value) filter[id] = at(id).value;
  for (const id of ["theme", "document_type", "language"]) if (at(id).value) filter[id] = [at(id).value];
  const body = { query: at("query").value, collection: at("collection").value, neighbours: 1 };
  return Object.keys(filter).length ? { ...body, filter } : body;
}

const find = (version) => ask(version ? `/v1/versions/${version}/search` : "/v1/search", question());

async function search() {
  at("note").textContent = say("searching");
  const wanted = at("right").value ? [at("left").value, at("right").value] : [at("left").value];
  const answers = await Promise.all(wanted.map(find));
  at("found").replaceChildren(...answers.map(column));
  at("note").textContent = answers.map((each) => `${each.hits.length} ${say("hits")}`).join(" · ");
}

function column(answer) {
  const made = element("section");
  const list = element("ol");
  list.append(...answer.hits.map(hit));
  made.append(element("h2", `${say("version")} ${answer.version.slice(0, 12)}`), list);
  return made;
}

function hit(each) {
  const made = element("li");
  const web = /^https?:\/\//i.test(each.url ?? "");
  const head = element(web ? "a" : "strong", each.title ?? each.uri);
  if (web) Object.assign(head, { href: each.url, rel: "noopener noreferrer" });
  const rows = each.row_start === null ? null : `${say("rows")} ${each.row_start}–${each.row_end}`;
  const place = [each.uri, ...["page", "slide", "sheet"].map((name) => each[name] && `${say(name)} ${each[name]}`), rows, each.section, each.date];
  const parts = Object.entries(each.scores).filter(([, score]) => score !== null)
    .map(([name, score]) => `${say(name)} ${score.toFixed(3)}`);
  made.append(head, element("div", place.filter(Boolean).join(" · "), "parts"),
    element("p", each.context ?? each.text, "text"), element("div", parts.join(" · "), "parts"));
  return made;
}

for (const each of document.querySelectorAll("[data-say]")) WORDS.en[each.dataset.say] = each.textContent;
at("tongue").value = navigator.language.startsWith("fr") ? "fr" : "en";
at("tongue").addEventListener("change", () => { translate(); telling(showVersions); });
at("collection").addEventListener("change", () => telling(showVersions));
at("search").addEventListener("submit", (event) => { event.preventDefault(); telling(search); });
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = at("key").value;
  at("key").value = "";
  at("key-form").hidden = true;
  telling(showCollections);
});
translate();
telling(showCollections);
