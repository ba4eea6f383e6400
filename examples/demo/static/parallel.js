// Sends twenty requests at once on one session, and counts the changes that were saved.

const REQUESTS = 20;
const button = document.querySelector("#parallel");
const dots = document.querySelector("#dots");
const result = document.querySelector("#result");

async function read() {
  const response = await fetch(button.dataset.url, { cache: "no-store" });
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.json();
}

async function send(number, run, dot) {
  const body = new URLSearchParams({ run });
  const response = await fetch(`${button.dataset.url}/${number}`, { method: "POST", body });
  dot.className = response.ok ? "done" : "failed";
}

async function test() {
  const run = crypto.randomUUID();
  const made = Array.from({ length: REQUESTS }, () => document.createElement("i"));
  dots.replaceChildren(...made);
  result.textContent = "Sending …";
  const before = await read();
  const start = performance.now();
  await Promise.all(made.map((dot, number) => send(number, run, dot)));
  const duration = Math.round(performance.now() - start);
  const after = await read();
  const counted = after.count - before.count;
  const kept = Object.values(after.keys).filter((value) => value === run).length;
  const verdict = counted === REQUESTS && kept === REQUESTS ? "None was lost." : "Some were lost!";
  result.textContent = `Sent ${REQUESTS}, counted ${counted}, kept ${kept} keys, in ${duration} ms. ${verdict}`;
}

button.hidden = false;
button.addEventListener("click", async () => {
  if (button.ariaDisabled === "true") return; // `disabled` would take the focus away
  button.ariaDisabled = "true";
  try {
    await test();
  } catch (error) {
    result.textContent = `The test failed. ${error.message}`;
  }
  button.ariaDisabled = "false";
});
