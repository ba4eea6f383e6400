// Keeps a WebSocket open while a user is signed in, and shows when the shop closes it.

const ENDED = 4001;
const line = document.querySelector("#live");
const socket = new WebSocket(line.dataset.url.replace(/^http/, "ws"));

function show(text, state) {
  line.textContent = text;
  line.className = `live ${state}`;
}

socket.addEventListener("open", () => show("Live connection open.", "open"));
socket.addEventListener("close", ({ code }) => {
  const time = new Date().toLocaleTimeString();
  if (code === ENDED) show(`Your session ended at ${time}: the shop closed the live connection.`, "ended");
  else show(`The live connection was lost at ${time}. Reload the page.`, "ended");
});
