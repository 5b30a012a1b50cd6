// Fetches the page again now and then, and puts its live part in the place of the old one.
// The operator's place stays: nothing is reloaded, and nothing moves while it is being used.
"use strict";
(() => {
    // When the figures were read that are shown now, and the next look.
    let readAt = Date.now();
    let timer;
    let isAsking = false;

    // Past so many looks in vain the figures are called old.
    const PATIENCE = 3;

    function seconds(part) {
        return Number(part?.dataset.refresh);
    }

    function schedule(part, isLost = false) {
        if (!seconds(part)) {
            return;
        }
        const isOld = Date.now() - readAt > PATIENCE * seconds(part) * 1000;
        part.querySelector(".eda-stale")?.toggleAttribute("hidden", !(isLost || isOld));
        clearTimeout(timer);
        timer = setTimeout(refresh, seconds(part) * 1000);
    }

    function isInUse(part) {
        const selection = document.getSelection();
        const chosen = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
        return document.hidden || chosen || part.matches(":focus-within");
    }

    // Returns the newer part of the page, or nothing if the server is away, or wants a new login.
    async function ask() {
        try {
            const answer = await fetch(location.href, { credentials: "same-origin" });
            if (answer.ok && !answer.redirected) {
                const page = new DOMParser().parseFromString(await answer.text(), "text/html");
                return page.getElementById("eda-live");
            }
        } catch {
            // The figures are called old.
        }
        return null;
    }

    async function refresh() {
        const part = document.getElementById("eda-live");
        if (isAsking || isInUse(part)) {
            schedule(part);
            return;
        }
        isAsking = true;
        const askedAt = Date.now();
        const fresh = await ask();
        isAsking = false;
        if (!fresh || isInUse(part)) {
            schedule(part, !fresh);
            return;
        }
        const places = [...part.querySelectorAll(".eda-scroll")].map((e) => e.scrollLeft);
        for (const one of part.querySelectorAll("details[id]")) {
            fresh.querySelector(`#${one.id}`)?.toggleAttribute("open", one.open);
        }
        part.replaceWith(fresh);
        fresh.querySelectorAll(".eda-scroll").forEach((e, n) => { e.scrollLeft = places[n] ?? 0; });
        readAt = askedAt;
        schedule(fresh);
    }

    document.addEventListener("DOMContentLoaded", () => schedule(document.getElementById("eda-live")));
    // Who comes back to the page wants to know how it is now.
    document.addEventListener("visibilitychange", () => {
        const part = document.getElementById("eda-live");
        if (!document.hidden && seconds(part) && Date.now() - readAt > seconds(part) * 1000) {
            refresh();
        }
    });
})();
