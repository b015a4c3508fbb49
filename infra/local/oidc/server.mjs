// A certified OAuth 2 / OpenID Connect server with nobody in front of it. For tests of refreshing it
// rotates refresh tokens, and revokes the whole family when one comes twice. For tests of OAuth at
// /mcp it issues JWTs for the one RESOURCE that it is given, and lets clients register themselves.
//
//   PORT=4801 NODE_HOME=<folder with node_modules> ISSUER=https://id.noteboard.example \
//   CLIENTS='[{"client_id": …}]' node server.mjs
//
// An https issuer is https://HOST/PATH to its clients and reached at http://127.0.0.1:PORT/HOST/PATH,
// as the provider override maps it; an http one is reached where it says. What a person would do at it, and what can go wrong on the way, is
// told to it at /_control.

import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const port = Number(process.env.PORT);
const issuer = process.env.ISSUER;
const host = new URL(issuer).host;
const direct = issuer.startsWith("http:");
const resource = process.env.RESOURCE;
const resourceScopes = resource ? ["mcp:full", "mcp:read"] : [];
const require = createRequire(`${process.env.NODE_HOME}/`);
const from = (name) => import(pathToFileURL(require.resolve(name)));
const { Provider, errors } = await from("oidc-provider");
const { createMemoryAdapter } = await from("oidc-provider/lib/adapters/memory_adapter.js");

const clients = new Map(JSON.parse(process.env.CLIENTS).map((c) => [c.client_id, c]));
const settings = { rotate: true, access_ttl: 3600, grants: null };
const faults = []; // one for each token request that is to go wrong, in order
const held = new Set(); // answers or requests that wait for /_control/release
const grants = new Set();
const count = {};

function zero() {
  Object.assign(count, {
    token_requests: 0, redemptions: 0, most_of_one_token: 0, reuses: 0, lost_families: 0, consents: 0,
  });
  count.of = {};
}
zero();

function jwk() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: "k1" };
}

const memory = createMemoryAdapter();
const found = { // looked up each time: a secret may change
  find: async (id) => clients.get(id),
  upsert: async (id, client) => { clients.set(id, client); },
};

function resourceServer(_, indicator) {
  if (indicator !== resource) throw new errors.InvalidTarget();
  return {
    scope: resourceScopes.join(" "), audience: resource, accessTokenTTL: settings.access_ttl,
    accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } },
  };
}

const provider = new Provider(issuer, {
  adapter: (model) => (model === "Client" ? found : memory(model)),
  jwks: { keys: [jwk()] },
  cookies: { keys: [randomBytes(16).toString("hex")] },
  scopes: ["openid", "offline_access", "email", "notes.read", "notes.write", ...resourceScopes],
  claims: { openid: ["sub"], email: ["email"] },
  findAccount: (_, id) => ({
    accountId: id, claims: () => ({ sub: id, email: `${id}@noteboard.example` }),
  }),
  conformIdTokenClaims: false, // the e-mail address is in the id_token too
  pkce: { required: () => true },
  rotateRefreshToken: () => settings.rotate,
  issueRefreshToken: async (_, client, code) =>
    client.grantTypeAllowed("refresh_token") && code.scopes.has("offline_access"),
  ttl: {
    AccessToken: () => settings.access_ttl, AuthorizationCode: 60, IdToken: 3600,
    RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600,
  },
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    registration: { enabled: Boolean(resource) },
    resourceIndicators: {
      enabled: Boolean(resource),
      getResourceServerInfo: resourceServer,
      useGrantedResource: () => true,
    },
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  renderError: (ctx, out) => { ctx.body = out; },
});
provider.proxy = !direct;

provider.on("grant.success", (ctx) => {
  if (ctx.oidc.params.grant_type !== "refresh_token") return;
  const token = createHash("sha256").update(ctx.oidc.params.refresh_token).digest("hex");
  count.redemptions += 1;
  count.of[token] = (count.of[token] ?? 0) + 1;
  count.most_of_one_token = Math.max(...Object.values(count.of));
});
provider.on("grant.error", (_, error) => {
  if (error.error_detail === "refresh token already used") count.reuses += 1;
});
provider.on("grant.revoked", (ctx) => {
  if (ctx.path === "/token") count.lost_families += 1; // else the client asked for it
});

provider.use(async (ctx, next) => { // the person: logs in as login_hint, grants what is asked
  const uid = ctx.path.match(/^\/interaction\/([^/]+)$/);
  if (!uid) return next();
  const interaction = await provider.interactionDetails(ctx.req, ctx.res);
  const { prompt, params, session } = interaction;
  const finish = (result, merge) =>
    provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: merge });
  const user = params.login_hint ?? "alice";
  if (user === "deny") return finish({ error: "access_denied" }, false);
  if (prompt.name === "login") return finish({ login: { accountId: user } }, false);
  const grant = interaction.grantId
    ? await provider.Grant.find(interaction.grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const allowed = (scope) => settings.grants?.includes(scope) ?? true;
  for (const [indicator, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    grant.addResourceScope(indicator, scopes.filter(allowed).join(" "));
    grant.rejectResourceScope(indicator, scopes.filter((scope) => !allowed(scope)).join(" "));
  }
  const asked = prompt.details.missingOIDCScope ?? [];
  const granted = asked.filter(allowed);
  grant.addOIDCScope(granted.join(" "));
  grant.rejectOIDCScope(asked.filter((scope) => !granted.includes(scope)).join(" "));
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  const grantId = await grant.save();
  grants.add(grantId);
  count.consents += 1;
  return finish({ consent: { grantId } }, true);
});

provider.use(async (ctx, next) => { // the network, and a server's bad days
  if (ctx.path !== "/token") return next();
  count.token_requests += 1;
  const fault = faults.shift() ?? {};
  if (fault.hold === "request") await release();
  if (fault.status) {
    ctx.status = fault.status;
    ctx.body = { error: fault.error ?? "temporarily_unavailable" };
    return undefined;
  }
  if (fault.drop === "request") return drop(ctx);
  await next();
  if (fault.hold === "answer") await release();
  if (fault.drop === "answer") return drop(ctx);
  for (const name of fault.omit ?? []) delete ctx.body[name];
  return undefined;
});

const release = () => new Promise((go) => { held.add(go); });

function drop(ctx) {
  ctx.respond = false;
  ctx.req.socket.destroy();
}

async function withdraw(scope) { // the person takes one permission back at the provider
  for (const id of grants) {
    const grant = await provider.Grant.find(id);
    grant?.rejectOIDCScope(scope);
    await grant?.save();
  }
}

const control = {
  set: ({ client_secret, ...changes }) => {
    Object.assign(settings, changes);
    for (const client of clients.values()) {
      if (client_secret && client.client_secret) Object.assign(client, { client_secret });
    }
  },
  faults: ({ next }) => { faults.push(...next); },
  release: () => { for (const go of held) go(); held.clear(); },
  withdraw: ({ scope }) => withdraw(scope),
  zero: () => { faults.length = 0; zero(); },
};

async function body(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

const oauth = provider.callback();
const server = createServer(async (request, response) => {
  const verb = request.url.match(/^\/_control\/?(\w*)$/);
  if (verb) {
    await control[verb[1]]?.(await body(request));
    const { of, ...counts } = count;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ ...counts, held: held.size }));
  } else if (direct) {
    oauth(request, response);
  } else if (request.url.startsWith(`/${host}/`)) {
    request.url = request.url.slice(host.length + 1);
    Object.assign(request.headers, { host, "x-forwarded-proto": "https" });
    oauth(request, response);
  } else {
    response.writeHead(404).end();
  }
});
server.listen(port, "127.0.0.1", () => console.log(`${issuer} on port ${server.address().port}`));
process.on("SIGTERM", () => { server.closeAllConnections(); server.close(() => process.exit(0)); });
