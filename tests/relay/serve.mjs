// serve.mjs CONFIG: serves the relay of that wrangler.toml in workerd, with its KV and Durable Object simulated by
// wrangler's own test harness and nothing kept on disk. Prints "listening URL" once it answers, then what the Worker
// logs. Secrets and variables come as JSON in the environment: RELAY_SECRETS and RELAY_VARS.
//
// Standard input takes commands, a line each, answered by "done COMMAND" or "failed COMMAND: why":
//   evict            drops the hub from memory; its storage stays
//   scheduled CRON   what that trigger does, to its end
// It ends when standard input does, so that nothing outlives whoever started it.

import { createInterface } from "node:readline";
import { createTestHarness } from "wrangler";

const harness = createTestHarness({
  workers: [
    {
      configPath: process.argv[2],
      secrets: JSON.parse(process.env.RELAY_SECRETS ?? "{}"),
      vars: JSON.parse(process.env.RELAY_VARS ?? "{}"),
    },
  ],
});

const commands = {
  evict: () => harness.getWorker().evictDurableObject("Hub", { name: "hub", webSockets: "hibernate" }),
  async scheduled(...cron) {
    const { outcome } = await harness.getWorker().scheduled({ cron: cron.join(" "), scheduledTime: new Date() });
    if (outcome !== "ok") throw new Error(`the Worker ended with ${outcome}`);
  },
};

let told = 0;
function tellLogs() {
  const logs = harness.getLogs();
  for (const { level, message } of logs.slice(told)) console.log(`worker ${level}: ${message}`);
  told = logs.length;
}

const { url } = await harness.listen();
console.log(`listening ${url.origin}`);
const telling = setInterval(tellLogs, 200);

for await (const command of createInterface({ input: process.stdin })) {
  try {
    const [name, ...words] = command.split(" ");
    await commands[name](...words);
    console.log(`done ${command}`);
  } catch (error) {
    console.log(`failed ${command}: ${error}`);
  }
}
clearInterval(telling);
tellLogs();
await harness.close();
