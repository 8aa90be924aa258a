package directory

import (
	"fmt"
	"strconv"
	"strings"
)

// ImportKind is why a file was not imported. The set is closed.
type ImportKind string

// Each has a sentence of its own, in English and French, that says what to do.
const (
	ImportEncrypted        ImportKind = "encrypted"            // PRONOTE encrypted it for a partner
	ImportDoctype          ImportKind = "doctype"              // XML with a document type, which no export has
	ImportDuplicateCode    ImportKind = "duplicate_identifier" // two rows with one PRONOTE identifier
	ImportDuplicateUser    ImportKind = "duplicate_cas"        // two rows with one CAS identifier
	ImportEmpty            ImportKind = "empty"                // nothing in it
	ImportForeign          ImportKind = "foreign"              // not a list of PRONOTE identifiers
	ImportTooLarge         ImportKind = "too_large"            // above 64 MiB or 500,000 rows
	ImportInvalidCode      ImportKind = "invalid_identifier"   // a PRONOTE identifier that is none
	ImportUnreadable       ImportKind = "unreadable"           // broken XML, CSV or text
	ImportSpreadsheet      ImportKind = "spreadsheet"          // an Excel or OpenDocument file
	ImportDuplicateColumn  ImportKind = "duplicate_column"     // two columns for one thing
	ImportInvalidCharacter ImportKind = "invalid_character"    // control characters or endless text in a value
	ImportMode             ImportKind = "mode"                 // neither full nor partial
)

// ImportError is why a file was not imported, and what to do; nothing has
// changed. It names lines but quotes nothing: what is in the file is personal.
type ImportError struct {
	Kind ImportKind
	File string // the name given to Import
	Line int    // 0: the file as a whole
	En   string // one or two sentences, without file and line
	Fr   string
}

// Error returns the English sentences, with file and line before them.
func (e *ImportError) Error() string {
	where := e.File
	if e.Line > 0 {
		where = strings.TrimPrefix(where+", line "+strconv.Itoa(e.Line), ", ")
	}
	if where == "" {
		return e.En
	}
	return where + ": " + e.En
}

// French returns the French sentences, with file and line before them.
func (e *ImportError) French() string {
	where := e.File
	if e.Line > 0 {
		where = strings.TrimPrefix(where+", ligne "+strconv.Itoa(e.Line), ", ")
	}
	if where == "" {
		return e.Fr
	}
	return where + " : " + e.Fr
}

func refuse(kind ImportKind, line int, en, fr string) *ImportError {
	return &ImportError{Kind: kind, Line: line, En: en, Fr: fr}
}

func refuseEncrypted() *ImportError {
	return refuse(ImportEncrypted, 0,
		`This export is encrypted for a partner, and only that partner can read it. In PRONOTE, export the identifiers again and choose no recipient ("aucun") under "Les données exportées peuvent être déchiffrées par".`,
		`Cet export est chiffré pour un partenaire, qui seul peut le lire. Dans PRONOTE, relancez l’export des identifiants en choisissant « aucun » sous « Les données exportées peuvent être déchiffrées par ».`)
}

func refuseDoctype(line int) *ImportError {
	return refuse(ImportDoctype, line,
		"The XML has a document type (<!DOCTYPE …>), which no export of PRONOTE has. Import the file as PRONOTE wrote it.",
		"Le XML contient une déclaration de type (<!DOCTYPE …>), ce qu’aucun export de PRONOTE ne contient. Importez le fichier tel que PRONOTE l’a écrit.")
}

func refuseEmpty() *ImportError {
	return refuse(ImportEmpty, 0,
		"There is nobody in this file. Export the identifiers again and check that people were selected.",
		"Ce fichier ne contient personne. Relancez l’export des identifiants en vérifiant que des utilisateurs sont sélectionnés.")
}

func refuseForeign() *ImportError {
	return refuse(ImportForeign, 0,
		`This is not a list of PRONOTE identifiers: no column (by the titles in the first row), attribute or element is called "Identifiant PRONOTE" (or "Id. PRONOTE-ENT", "IDPN", "idPronote"). Import the XML of "Exporter les identifiants PRONOTE", or a list copied from the Client with its header row.`,
		`Ce n’est pas une liste d’identifiants PRONOTE : aucune colonne (d’après les titres de la première ligne), aucun attribut ni élément ne s’appelle « Identifiant PRONOTE » (ou « Id. PRONOTE-ENT », « IDPN », « idPronote »). Importez le XML de « Exporter les identifiants PRONOTE », ou une liste copiée du Client avec sa ligne de titres.`)
}

func refuseWebPage() *ImportError {
	return refuse(ImportForeign, 0,
		"This is a web page, even if it is called .xls or .xml. Import the XML of \"Exporter les identifiants PRONOTE\", or a list copied from the Client with its header row.",
		"C’est une page web, même si son nom finit par .xls ou .xml. Importez le XML de « Exporter les identifiants PRONOTE », ou une liste copiée du Client avec sa ligne de titres.")
}

func refuseSpreadsheet() *ImportError {
	return refuse(ImportSpreadsheet, 0,
		"This is a spreadsheet or an archive, not text. Open it and save the list as CSV (UTF-8), then import that.",
		"C’est un classeur ou une archive, et non du texte. Ouvrez-le, enregistrez la liste au format CSV (UTF-8), puis importez celle-ci.")
}

func refuseTooLarge() *ImportError {
	return refuse(ImportTooLarge, 0,
		fmt.Sprintf("The file is larger than %d MiB or has more than %d people. Check that it is the right one; import it in parts, with mode partial, if it is.", maxBytes>>20, maxRows),
		fmt.Sprintf("Le fichier dépasse %d Mio ou %d personnes. Vérifiez que c’est le bon ; si oui, importez-le en plusieurs parties, en mode partial.", maxBytes>>20, maxRows))
}

func refuseCode(line int) *ImportError {
	return refuse(ImportInvalidCode, line,
		"This PRONOTE identifier is none: it has 16 characters, letters A-Z and digits. Correct it, or leave it empty if the person has none.",
		"Cet identifiant PRONOTE n’en est pas un : il compte 16 caractères, lettres A-Z et chiffres. Corrigez-le, ou laissez-le vide si la personne n’en a pas.")
}

func refuseDuplicates(kind ImportKind, pairs [][2]int, more int) *ImportError {
	var en, fr []string
	for _, p := range pairs {
		en = append(en, fmt.Sprintf("%d and %d", p[0], p[1]))
		fr = append(fr, fmt.Sprintf("%d et %d", p[0], p[1]))
	}
	if more > 0 {
		en, fr = append(en, fmt.Sprintf("%d more", more)), append(fr, fmt.Sprintf("%d autres", more))
	}
	what, whatFr := "PRONOTE identifier", "identifiant PRONOTE"
	if kind == ImportDuplicateUser {
		what, whatFr = "CAS identifier", "identifiant CAS"
	}
	return refuse(kind, 0,
		fmt.Sprintf("Two rows have the same %s (lines %s). Each belongs to one person: correct the file and import it again.", what, strings.Join(en, "; ")),
		fmt.Sprintf("Deux lignes portent le même %s (lignes %s). Chacun n’appartient qu’à une personne : corrigez le fichier et relancez l’import.", whatFr, strings.Join(fr, " ; ")))
}

func refuseColumns(first, second string) *ImportError {
	return refuse(ImportDuplicateColumn, 0,
		fmt.Sprintf("The columns %q and %q could both be meant. Remove the one that is not.", first, second),
		fmt.Sprintf("Les colonnes « %s » et « %s » peuvent toutes deux convenir. Supprimez celle qui est de trop.", first, second))
}

func refuseText(line int) *ImportError {
	return refuse(ImportInvalidCharacter, line,
		"A value holds control characters, text in another encoding than the rest of the file, or more than 200 characters. Export the file again, as UTF-8 if you are asked.",
		"Une valeur contient des caractères de contrôle, un texte dans un autre codage que le reste du fichier, ou plus de 200 caractères. Relancez l’export, en UTF-8 si le choix est proposé.")
}

func refuseBroken(line int) *ImportError {
	return refuse(ImportUnreadable, line,
		"The file is broken here: an XML tag that does not close, a quotation mark that is left open, more cells than the header has, or a file that was cut off. Export it again.",
		"Le fichier est abîmé ici : une balise XML ou un guillemet qui ne se ferme pas, plus de cellules que de titres, ou un fichier tronqué. Relancez l’export.")
}

func refuseEncoding() *ImportError {
	return refuse(ImportUnreadable, 0,
		"The XML names an encoding that is not known here. Export it again, as UTF-8 if you are asked.",
		"Le XML annonce un codage inconnu ici. Relancez l’export, en UTF-8 si le choix est proposé.")
}

func refuseMode() *ImportError {
	return refuse(ImportMode, 0,
		`The mode is "full" (the file has everybody) or "partial" (the file adds to what is there).`,
		"Le mode est « full » (le fichier contient tout le monde) ou « partial » (le fichier complète l’existant).")
}
