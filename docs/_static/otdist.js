// A button on each block of code that copies what one types: no prompts, no outputs.
// Pygments marks prompts with the class gp; a line of a session that has none is output.

function typedText(pre) {
  const copy = pre.cloneNode(true);
  const prompts = copy.querySelectorAll(".gp");
  prompts.forEach((prompt) => prompt.replaceWith("\u0001"));
  const lines = copy.textContent.replace(/\n+$/, "").split("\n");
  const typed = prompts.length ? lines.filter((line) => line.startsWith("\u0001")) : lines;
  return typed.map((line) => line.replace("\u0001", "")).join("\n") + "\n";
}

function addCopyButton(block) {
  const pre = block.querySelector("pre");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy-code";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy the code, without prompts and output");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(typedText(pre));
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  block.append(button);
}

// A table that is wider than the page says so, and fades at the side on which more of it lies.
function markScrollable(box) {
  const update = () => {
    const left = box.scrollWidth - box.clientWidth;
    box.classList.toggle("more-right", left - box.scrollLeft > 2);
    box.classList.toggle("scrolls", left > 2);
    if (left > 2) box.tabIndex = 0;
  };
  box.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(box);
  update();
}

document.addEventListener("DOMContentLoaded", () => {
  if (navigator.clipboard) {
    document.querySelectorAll("div.highlight").forEach((block) => {
      if (block.querySelector("pre")) addCopyButton(block);
    });
  }
  document.querySelectorAll(".pst-scrollable-table-container").forEach(markScrollable);
});
