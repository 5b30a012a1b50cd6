// Fetches the page again now and then, and puts its live part in the place of the old one.
// The operator's place stays: nothing is reloaded, and nothing moves while it is being used.
"use strict";
(() => {
    function schedule(part) {
        const seconds = Number(part?.dataset.refresh);
        if (seconds) {
            setTimeout(refresh, seconds * 1000);
        }
    }

    function isInUse(part) {
        const selection = document.getSelection();
        const chosen = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
        return document.hidden || chosen || part.matches(":focus-within");
    }

    async function refresh() {
        const part = document.getElementById("eda-live");
        if (isInUse(part)) {
            schedule(part);
            return;
        }
        try {
            const answer = await fetch(location.href, { credentials: "same-origin" });
            if (answer.ok && !answer.redirected) {
                const page = new DOMParser().parseFromString(await answer.text(), "text/html");
                const fresh = page.getElementById("eda-live");
                if (fresh && !isInUse(part)) {
                    const places = [...part.querySelectorAll(".eda-scroll")].map((e) => e.scrollLeft);
                    part.replaceWith(fresh);
                    fresh.querySelectorAll(".eda-scroll").forEach((e, n) => { e.scrollLeft = places[n] ?? 0; });
                    schedule(fresh);
                    return;
                }
            }
        } catch {
            // The server is away; the page says of which time it is.
        }
        schedule(part);
    }

    document.addEventListener("DOMContentLoaded", () => schedule(document.getElementById("eda-live")));
})();
