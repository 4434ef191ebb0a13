/**
 * The words. `en/first.json` is what the first page needs; every other area brings its own file when its code is loaded:
 * the part that speaks says `addWords(words)`. A test reads the sources and fails for a word that would not be there yet.
 */
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import first from "./en/first.json";

void i18next.use(initReactI18next).init({
  lng: "en",
  fallbackLng: "en",
  resources: { en: { translation: first } },
  interpolation: { escapeValue: false },
  initAsync: false,
});

export function addWords(words: object): void {
  i18next.addResourceBundle("en", "translation", words, true);
}
