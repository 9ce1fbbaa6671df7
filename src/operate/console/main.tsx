// The console: one page application on the admin port. The server has rendered the document around it.
import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import { App } from "./app.tsx";
import "./style.css";

const place = document.querySelector("#console");
// The server's document has landmarks of its own for browsers without scripts.
place?.replaceChildren();
if (place !== null) render(<App />, place);
