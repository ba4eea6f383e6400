// Sends twenty requests at once on one session, and counts the changes that were saved.

const BLOWS = 20;
const button = document.querySelector("#hammer");
const anvil = document.querySelector("#blows");
const tally = document.querySelector("#tally");

async function read() {
  const response = await fetch(button.dataset.url, { cache: "no-store" });
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.json();
}

async function strike(number, run, dot) {
  const body = new URLSearchParams({ run });
  const response = await fetch(`${button.dataset.url}/${number}`, { method: "POST", body });
  dot.className = response.ok ? "hit" : "missed";
}

async function hammer() {
  const run = crypto.randomUUID();
  const dots = Array.from({ length: BLOWS }, () => document.createElement("i"));
  anvil.replaceChildren(...dots);
  tally.textContent = "Hammering …";
  const before = await read();
  const start = performance.now();
  await Promise.all(dots.map((dot, number) => strike(number, run, dot)));
  const duration = Math.round(performance.now() - start);
  const after = await read();
  const counted = after.blows - before.blows;
  const kept = Object.values(after.marks).filter((mark) => mark === run).length;
  const verdict = counted === BLOWS && kept === BLOWS ? "None was lost." : "Some were lost!";
  tally.textContent = `Sent ${BLOWS}, counted ${counted}, kept ${kept} keys, in ${duration} ms. ${verdict}`;
}

button.hidden = false;
button.addEventListener("click", async () => {
  if (button.ariaDisabled === "true") return; // `disabled` would take the focus away
  button.ariaDisabled = "true";
  try {
    await hammer();
  } catch (error) {
    tally.textContent = `The test failed. ${error.message}`;
  }
  button.ariaDisabled = "false";
});
