// @ts-check

/** A wave, wider than any window. @param {string} crest @param {number} from @param {number} y */
const wave = (crest, from, y) => `M${from} ${y}${crest}${"t60 0".repeat(40)}V140H${from}z`;

const SCENE = `
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 132" preserveAspectRatio="xMidYMax slice" aria-hidden="true">
  <defs>
    <linearGradient id="beam">
      <stop class="beam-end" offset="0" />
      <stop class="beam-start" offset="1" />
    </linearGradient>
  </defs>
  <g class="stars">
    <circle cx="38" cy="26" r="1.1" />
    <circle cx="92" cy="14" r="0.8" />
    <circle cx="141" cy="36" r="1" />
    <circle cx="187" cy="17" r="1.2" />
    <circle cx="236" cy="33" r="0.8" />
    <circle cx="268" cy="12" r="1" />
  </g>
  <circle class="orb" cx="82" cy="36" r="15" />
  <path
    class="wave far"
    d="${wave("q30-9 60 0", -960, 92)}"
  />
  <g class="lighthouse">
    <path class="beam" d="M320 41 176 12v58z" fill="url(#beam)" />
    <path class="rock" d="M286 110q8-16 22-18 18-2 30 3 14 5 22 15v22h-74z" />
    <path class="tower" d="M311 92 314 48h12l3 44z" />
    <path class="stripe" d="M313 64l.8-9h12.4l.8 9zM311.6 83l.7-9h15.4l.7 9z" />
    <path class="lamp" d="M315 46v-9h10v9z" />
    <path class="stripe" d="M313 37q7-9 14 0zM312 46h16v3h-16z" />
  </g>
  <g class="boat">
    <g class="rocking">
      <path class="flag" d="M-.6-27V-40h1.200v.5l10.400 4-10.400 4V-27z" />
      <path class="sail lit" d="M0-29-16-2H0z" />
      <path class="sail shaded" d="M0-29 16-2H0z" />
      <path class="hull lit" d="M-35-9-21 13H2L0-2z" />
      <path class="hull shaded" d="M35-9 21 13H2L0-2z" />
    </g>
  </g>
  <path
    class="wave near"
    d="${wave("q30-10 60 0", -960, 106)}"
  />
  <path
    class="wave front"
    d="${wave("q30-8 60 0", -990, 119)}"
  />
</svg>`;

/** Draws the boat, the sea and the lighthouse; `scene.css` moves and colours them. @param {Element} place */
export function drawScene(place) {
  const { documentElement } = new DOMParser().parseFromString(SCENE.trim(), "image/svg+xml");
  place.replaceChildren(document.adoptNode(documentElement));
}
