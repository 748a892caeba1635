// Uses the server as an MCP client does, by the protocol's own SDK, and writes what it got as one JSON object.
//
// Arguments: the folder with the SDK, the endpoint, the API key (may be empty), and a JSON list of calls [name, arguments].

import { createRequire } from "node:module";

const [folder, url, key, calls] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const headers = key ? { Authorization: `Bearer ${key}` } : {};
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
const client = new Client({ name: "strongroom-tests", version: "1.0.0" });
await client.connect(transport);

const results = [];
const { tools } = await client.listTools();
for (const [name, args] of JSON.parse(calls)) {
  try {
    // The SDK holds structured content against the tool's output schema, and throws where they differ.
    results.push(await client.callTool({ name, arguments: args }));
  } catch (error) {
    results.push({ thrown: error.message });
  }
}
const out = {
  session: transport.sessionId ?? null,
  protocol: transport.protocolVersion ?? null,
  server: client.getServerVersion(),
  instructions: client.getInstructions() ?? null,
  tools,
  results,
};
await client.close();
process.stdout.write(JSON.stringify(out));
