// The theme that was chosen in this browser, before anything is drawn. Without a choice the system's counts.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("orgpipe-theme"); } catch { /* storage is off: the system's theme it is */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  document.documentElement.classList.add("js");
})();
