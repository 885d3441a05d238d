// A bridge to LINE's Node SDK: one JSON request a line on standard input, one JSON answer a line on standard output.
//   {"call": "pushMessage", "args": […], "url": …, "token": …, "single": false, "headers": {…}} → {"status", "requestId", "body"} or {"error"}
//   {"serve": "<channel secret>"} → {"url"} of a webhook server that uses the SDK's middleware; {"received": true} → what came
// Bytes travel as {"$bytes": "<base64>", "type": "image/png"}.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import * as line from "@line/bot-sdk";

const clients = new Map();
const received = [];

function make({ url, token, single, headers }) {
  const key = `${url} ${token} ${single} ${JSON.stringify(headers)}`;
  if (!clients.has(key)) clients.set(key, single ? alone(url, token, headers) : together(url, token, headers));
  return clients.get(key);
}

// LineBotClient has everything but access tokens.
function together(url, channelAccessToken, defaultHeaders) {
  return [
    line.LineBotClient.fromChannelAccessToken({
      channelAccessToken,
      apiBaseURL: url,
      dataApiBaseURL: url,
      managerBaseURL: url,
      defaultHeaders,
    }),
    new line.channelAccessToken.ChannelAccessTokenClient({ baseURL: url }),
  ];
}

function alone(baseURL, channelAccessToken, defaultHeaders) {
  const given = { baseURL, channelAccessToken, defaultHeaders };
  return [
    new line.messagingApi.MessagingApiClient(given),
    new line.messagingApi.MessagingApiBlobClient(given),
    new line.channelAccessToken.ChannelAccessTokenClient({ baseURL }),
    new line.insight.InsightClient(given),
    new line.manageAudience.ManageAudienceClient(given),
    new line.manageAudience.ManageAudienceBlobClient(given),
    new line.liff.LiffClient(given),
    new line.moduleOperation.LineModuleClient(given),
    new line.moduleAttach.LineModuleAttachClient(given),
    new line.shop.ShopClient(given),
  ];
}

async function call(request) {
  const method = `${request.call}WithHttpInfo`;
  const client = make(request).find((one) => typeof one[method] === "function");
  if (!client) return { error: { name: "TypeError", message: `The SDK has no ${request.call}.` } };
  try {
    const { httpResponse, body } = await client[method](...request.args.map(decoded));
    return {
      status: httpResponse.status,
      requestId: httpResponse.headers.get("x-line-request-id"),
      body: await encoded(body),
    };
  } catch (error) {
    const { name, message, status, body } = error;
    return { error: { name, message, status, body, requestId: error.headers?.get("x-line-request-id") } };
  }
}

function decoded(value) {
  if (value === null) return undefined;
  return value?.$bytes === undefined ? value : new Blob([Buffer.from(value.$bytes, "base64")], { type: value.type });
}

async function encoded(body) {
  if (!(body instanceof Readable)) return body;
  return { $bytes: Buffer.concat(await body.toArray()).toString("base64") };
}

function serve(channelSecret) {
  const check = line.middleware({ channelSecret });
  const server = createServer((request, response) => {
    check(request, response, (error) => {
      received.push(error ? { error: error.name } : request.body);
      response.writeHead(error ? 401 : 200).end();
    });
  });
  return new Promise((ready) => {
    server.listen(0, "127.0.0.1", () => ready({ url: `http://127.0.0.1:${server.address().port}/hook` }));
  });
}

function answer(request) {
  if (request.call) return call(request);
  if (request.serve) return serve(request.serve);
  return { received: received.splice(0) };
}

for await (const text of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(text))));
}
process.exit(0);
