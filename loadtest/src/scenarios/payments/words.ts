/** Lists for invented events; the numbers of merchants and devices are powers of two, so that a mask picks one. */
const FIRST = [
  "Amber",
  "Birch",
  "Coral",
  "Dune",
  "Ember",
  "Fjord",
  "Grove",
  "Harbor",
  "Indigo",
  "Juniper",
  "Kestrel",
  "Linden",
  "Maple",
  "North",
  "Opal",
  "Pebble"
]
const SECOND = [
  "Bakery",
  "Books",
  "Cafe",
  "Cinema",
  "Clinic",
  "Deli",
  "Fitness",
  "Florist",
  "Garage",
  "Grill",
  "Hotel",
  "Market",
  "Pharmacy",
  "Records",
  "Tools",
  "Travel"
]

export const MERCHANTS: readonly string[] = FIRST.flatMap(first => SECOND.map(second => `${first} ${second}`))
export const COUNTRIES: readonly string[] = [
  "AT",
  "BE",
  "CH",
  "DE",
  "DK",
  "ES",
  "FI",
  "FR",
  "GB",
  "IE",
  "IT",
  "JP",
  "NL",
  "NO",
  "PT",
  "US"
]
export const DEVICES: readonly string[] = Array.from(
  { length: 1024 },
  (_, i) => `dev-${(0x1a2b3c4d + i * 0x9e37).toString(16)}-${String(i).padStart(4, "0")}`
)
