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

    // What somebody may be about to press, presses, or writes in. A click leaves focus in a table, too, and
    // nobody knows of it: that is no use, and is handed on to the newer part.
    const USED = `:is(a, button):focus-visible, :is(a, button, summary):active,
        :is(input, select, textarea):focus`;

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
        return document.hidden || chosen || part.querySelector(USED) !== null;
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

    function find(part, id) {
        return part.querySelector(`#${CSS.escape(id)}`);
    }

    // What is open, scrolled and focused stays so.
    function replace(part, fresh) {
        const focused = part.querySelector("[id]:focus");
        const isVisible = focused?.matches(":focus-visible");
        const places = [...part.querySelectorAll("[id][tabindex]")].map(
            (one) => [one.id, one.scrollLeft, one.scrollTop],
        );
        for (const one of part.querySelectorAll("details[id]")) {
            find(fresh, one.id)?.toggleAttribute("open", one.open);
        }
        part.replaceWith(fresh);
        for (const [id, left, top] of places) {
            find(fresh, id)?.scrollTo(left, top);
        }
        if (focused) {
            find(fresh, focused.id)?.focus({ preventScroll: true, focusVisible: isVisible });
        }
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
        try {
            replace(part, fresh);
            readAt = askedAt;
        } finally {
            // Whatever went wrong there: the next look may go well, and old figures are called old.
            schedule(document.getElementById("eda-live"));
        }
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
