package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/charmap"
	textunicode "golang.org/x/text/encoding/unicode"
)

const asXML = `<?xml version="1.0" encoding="%s"?>
<Export xmlns:x="urn:x">
 <!-- a comment -->
 <Eleves>
  <Eleve IDPN="KT2AQ3UW4S98DPYX" Nom="Lefèvre-Núñez" Prenom="Léa" DateNaissance="2012-03-07">
   <Responsables><Responsable x:idpn="AZKH9C7WSQ2R54DP" nom="Petit" prenom="Jade" dateNaissance="01/02/1980"/></Responsables>
  </Eleve>
  <Utilisateur><ID_PRONOTE> 3keuxdwc957jmqvr </ID_PRONOTE><Nom>D&apos;Artagnan</Nom><Prénom><![CDATA[Hugo]]></Prénom>
   <DateDeNaissance>12/11/2011</DateDeNaissance><ID_Partenaire>NAA30191</ID_Partenaire></Utilisateur>
 </Eleves>
 <Professeurs><P idProduit="FEH85K9JNUCASD2M"><Nom>Petit</Nom><Prenom>Jade</Prenom><DateNaissance>1980-02-01</DateNaissance></P></Professeurs>
 <Personnel Nom="Sans" Prenom="Code"/>
 <Classe Nom="6A"/>
</Export>`

const asTSV = "Catégorie\tNom\tN° de téléphone\tPrénom\tNé(e) le\tId. connexion\tId. PRONOTE-ENT\tId. CAS\r\n" +
	"Élèves\tLefèvre-Núñez\t\tLéa\t07/03/2012\tllefevre\tKT2AQ3UW4S98DPYX\t\r\n" +
	"Élèves\tD'Artagnan\t06\tHugo\t12/11/2011\thdarta\t3keuxdwc957jmqvr\tNAA30191\r\n" +
	"Responsables\tPetit\t\tJade\t01/02/1980\tjpetit\tAZKH9C7WSQ2R54DP\r\n" +
	"Professeurs\tPetit\t\tJade\t01/02/1980\tjpetit1\tFEH85K9JNUCASD2M\t\t\t\r\n"

const asCSV = `"identifiant_pronote","NOM","Prénom","categorie","date-naissance","identifiantCAS"
"KT2AQ3UW4S98DPYX","Lefèvre-Núñez","Léa","Eleve","07/03/2012",""

"3KEUXDWC957JMQVR","D'Artagnan","Hugo","National_1","12/11/2011","NAA30191"
"AZKH9C7WSQ2R54DP","Petit","Jade","Parent","01/02/1980",
"FEH85K9JNUCASD2M","Petit","Jade","Enseignant","01/02/1980",
,,,,,
`

func encode(t *testing.T, form, text string) []byte {
	t.Helper()
	var out []byte
	var err error
	switch form {
	case "utf-8":
		return []byte(text)
	case "utf-8 BOM":
		return append([]byte("\xEF\xBB\xBF"), text...)
	case "utf-16 LE":
		out, err = textunicode.UTF16(textunicode.LittleEndian, textunicode.UseBOM).NewEncoder().Bytes([]byte(text))
	case "utf-16 BE":
		out, err = textunicode.UTF16(textunicode.BigEndian, textunicode.UseBOM).NewEncoder().Bytes([]byte(text))
	default:
		out, err = charmap.Windows1252.NewEncoder().Bytes([]byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryFormAndEncodingGivesTheSameRows(t *testing.T) {
	d := open(newMemory())
	put(t, d, Full, school)
	want, err := d.Rows(t.Context())
	if err != nil || len(want) != 4 {
		t.Fatal(want, err)
	}
	forms := map[string]string{"csv ;": school, "csv ,": asCSV, "tsv": asTSV, "sep=": "sep=;\r\n" + school, "blank lines": "\r\n \n" + school,
		"old Mac": strings.ReplaceAll(school, "\n", "\r"), "Windows": strings.ReplaceAll(school, "\n", "\r\n")}
	for _, declared := range []string{"UTF-8", "windows-1252", "ISO-8859-1", "utf-16", "iso-8859-15"} {
		forms["xml "+declared] = fmt.Sprintf(asXML, declared)
	}
	forms["xml undeclared"] = strings.Replace(asXML, ` encoding="%s"`, "", 1)
	for name, text := range forms {
		for _, encoding := range []string{"utf-8", "utf-8 BOM", "utf-16 LE", "utf-16 BE", "windows-1252"} {
			if encoding == "utf-8" && (strings.Contains(text, "1252") || strings.Contains(text, "8859")) {
				continue // a lie that nobody can see through
			}
			for way, reader := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
				d := open(newMemory())
				_, err := d.Import(t.Context(), reader(bytes.NewReader(encode(t, encoding, text))), "", Full, false, nil)
				got, failed := d.Rows(t.Context())
				for i := range got {
					got[i].Imported = want[0].Imported
				}
				for i := range want {
					want[i].Imported = want[0].Imported
				}
				if err != nil || failed != nil || !slices.Equal(got, want) {
					t.Errorf("%s in %s %s: %v, %v\n%+v\nwant\n%+v", name, encoding, way, err, failed, got, want)
				}
			}
		}
	}
}

func TestAFileThatCannotBeTakenIsRefusedWithTheSentenceThatHelps(t *testing.T) {
	head := "idpronote;idcas;nom\n"
	for _, test := range []struct {
		what, text string
		kind       ImportKind
		line       int
		says       string
	}{
		{"encrypted", `<?xml version="1.0"?><EXPORT_INDEX_EDUCATION xmlns="http://www.index-education.com/conteneurexportchiffre"><VERSION>1</VERSION><CONTENU CompresseAvantChiffrement="true">AAAA</CONTENU></EXPORT_INDEX_EDUCATION>`, ImportEncrypted, 0, "aucun"},
		{"encrypted, prefixed", `<c:EXPORT_INDEX_EDUCATION xmlns:c="x"/>`, ImportEncrypted, 0, "aucun"},
		{"encrypted the other way", `<ImportChiffre xmlns="http://www.index-education.com/containeurimportchiffreV1"/>`, ImportEncrypted, 0, "aucun"},
		{"doctype", "<?xml version=\"1.0\"?>\n<!DOCTYPE a [<!ENTITY x \"y\">]><a IDPN=\"" + lea + "\"/>", ImportDoctype, 2, "DOCTYPE"},
		{"an entity", "<a IDPN=\"" + lea + "\" Nom=\"&x;\"/>", ImportUnreadable, 1, "broken"},
		{"nothing", "", ImportEmpty, 0, "nobody"},
		{"blanks", " \n\t\n", ImportEmpty, 0, "nobody"},
		{"only a header", head, ImportEmpty, 0, "nobody"},
		{"only people without identifier", head + ";x;Petit\n", ImportEmpty, 0, "nobody"},
		{"XML with nobody", "<Export><Eleves/></Export>", ImportForeign, 0, "IDPN"},
		{"XML with empty identifiers", `<Export><Eleve IDPN="" Nom="x"/></Export>`, ImportEmpty, 0, "nobody"},
		{"another CSV", "a;b\n1;2\n", ImportForeign, 0, "Identifiant PRONOTE"},
		{"prose", "Madame, Monsieur,\nbonjour", ImportForeign, 0, "Identifiant PRONOTE"},
		{"a page", "<html><body>404</body></html>", ImportForeign, 0, "web page"},
		{"a page that says so", "<!DOCTYPE html>\n<meta charset=utf-8><table><tr><td>" + lea + "</table>", ImportForeign, 0, "web page"},
		{"XML without any identifier", `<Eleves><Eleve Nom="Petit" Prenom="Jade"/></Eleves>`, ImportForeign, 0, "IDPN"},
		{"a title above the header", "Élèves de 6A;;\n" + head + lea + ";a;x\n", ImportForeign, 0, "first row"},
		{"Excel", "PK\x03\x04aaaaaaaa", ImportSpreadsheet, 0, "CSV"},
		{"old Excel", "\xD0\xCF\x11\xE0aaaa", ImportSpreadsheet, 0, "CSV"},
		{"a code twice", head + lea + ";a;x\n" + hugo + ";b;x\n" + lea + ";c;x\n", ImportDuplicateCode, 0, "lines 2 and 4"},
		{"a code twice, typed otherwise", head + lea + ";a;x\n" + strings.ToLower(lea) + ";b;x\n", ImportDuplicateCode, 0, "lines 2 and 3"},
		{"a code twice in XML", "<a>\n<b IDPN='" + lea + "'/>\n<b IDPN='" + lea + "'/></a>", ImportDuplicateCode, 0, "lines 2 and 3"},
		{"a CAS identifier twice", head + lea + ";a;x\n" + hugo + ";a;x\n", ImportDuplicateUser, 0, "lines 2 and 3"},
		{"no code", head + lea + ";a;x\n\n" + lea[1:] + ";b;x\n", ImportInvalidCode, 4, "16 characters"},
		{"no code, in XML", "<a>\n<b IDPN='" + lea + "'/>\n<b IDPN='x'/></a>", ImportInvalidCode, 3, "16 characters"},
		{"an open quotation mark", head + lea + ";a;\"x\n" + hugo + ";b;y\n", ImportUnreadable, 2, "quotation mark"},
		{"a separator in a name", head + lea + ";a;x;y\n", ImportUnreadable, 2, "more cells"},
		{"XML cut off", "<a><b IDPN='" + lea + "'/>", ImportUnreadable, 1, "cut off"},
		{"XML badly nested", "<a><b IDPN='" + lea + "'></a></b>", ImportUnreadable, 1, "tag"},
		{"XML of endless depth", strings.Repeat("<a>", 101), ImportUnreadable, 1, ""},
		{"two columns for one", "idpronote;idpn;nom\n" + lea + ";" + hugo + ";x\n", ImportDuplicateColumn, 0, "idpn"},
		{"control characters", head + lea + ";a\x07;x\n", ImportInvalidCharacter, 2, "control"},
		{"both encodings", head + lea + ";a;é\n" + hugo + ";b;\xE9t\xE9\n", ImportInvalidCharacter, 3, "encoding"},
		{"endless text", head + lea + ";a;" + strings.Repeat("x", 201) + "\n", ImportInvalidCharacter, 2, "200"},
		{"an unknown encoding", `<?xml version="1.0" encoding="klingon"?><a IDPN="` + lea + `"/>`, ImportUnreadable, 0, "encoding"},
	} {
		store := newMemory()
		d := open(store)
		put(t, d, Full, school)
		before := maps.Clone(store.values)
		_, err := d.Import(t.Context(), strings.NewReader(test.text), `C:\export\liste.txt`, Full, false, nil)
		var refused *ImportError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		if refused.Kind != test.kind || refused.Line != test.line || !strings.Contains(refused.En, test.says) {
			t.Errorf("%s: %s, line %d: %s", test.what, refused.Kind, refused.Line, refused.En)
		}
		if refused.Fr == "" || refused.Fr == refused.En || !strings.HasPrefix(refused.Error(), "liste.txt") || !strings.HasPrefix(refused.French(), "liste.txt") {
			t.Errorf("%s: %s / %s", test.what, refused.Error(), refused.French())
		}
		for _, secret := range []string{lea, hugo, "Petit"} {
			if strings.Contains(refused.Error()+refused.French(), secret) {
				t.Errorf("%s: the refusal quotes the file: %s", test.what, refused)
			}
		}
		if !maps.EqualFunc(before, store.values, bytes.Equal) {
			t.Errorf("%s: something changed", test.what)
		}
	}
}

func TestAFileBeyondTheLimitIsNotTakenInPart(t *testing.T) {
	for _, text := range []string{people(100, 0), fmt.Sprintf(asXML, "UTF-8"), strings.Repeat(" ", 5000)} {
		for _, limit := range []int64{10, 600, int64(len(text)) - 1} {
			_, err := readFile(strings.NewReader(text), limit, nil)
			var refused *ImportError
			if !errors.As(err, &refused) || refused.Kind != ImportTooLarge {
				t.Errorf("limit %d: %v", limit, err)
			}
		}
		if _, err := readFile(strings.NewReader(text), int64(len(text)), nil); err != nil && strings.TrimSpace(text) != "" {
			t.Error(err)
		}
	}
}

func TestAnUploadThatBreaksOffIsNotTakenInPart(t *testing.T) {
	for _, text := range []string{people(10, 0), people(3000, 0)} {
		for _, at := range []int{0, 3, 300, strings.LastIndexByte(text[:len(text)-1], '\n') + 1} {
			r := io.MultiReader(strings.NewReader(text[:at]), iotest.ErrReader(io.ErrUnexpectedEOF))
			if _, err := readFile(r, maxBytes, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes: %v", at, err)
			}
		}
	}
}

// PRONOTE's XML leaves out what somebody does not have: who has no identifier must not
// be lost without a word.
func TestPeopleWithoutAnIdentifierInXMLAreCounted(t *testing.T) {
	r := put(t, open(newMemory()), Partial, `<Export>
<Eleve Nom="Petit" Prenom="Jade"/>
<Eleve IDPN="`+lea+`"><Identite><Nom>x</Nom><Prenom>y</Prenom></Identite></Eleve>
<Personnel><Nom>Sans</Nom><Prenom>Code</Prenom></Personnel>
<Classe Nom="6A"/></Export>`)
	if r.Read != 1 || !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "left out: 2 (lines 2, 4)") }) {
		t.Errorf("%d read, %q", r.Read, r.Warnings)
	}
}

// A sheet that `caddy pronote-cas export` wrote, in either language, can be filled in
// and imported.
func TestWhatIsExportedCanBeImported(t *testing.T) {
	for _, lang := range []string{"fr", "en"} {
		d := open(newMemory())
		put(t, d, Full, school)
		e, err := d.Export(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var sheet strings.Builder
		if err := e.WriteCSV(&sheet, lang); err != nil {
			t.Fatal(err)
		}
		if r := put(t, d, Partial, sheet.String()); r.Unchanged != 4 {
			t.Errorf("%s: %+v", lang, r)
		}
	}
}

func TestTheFirstLinesAreNamedInOrder(t *testing.T) {
	var n numbers
	for _, line := range []int{9, 3, 7, 8, 2, 6, 4} {
		n.add(line)
	}
	if got := n.in("line", "lines"); got != "7 (lines 2, 3, 4, 6, 7, …)" {
		t.Error(got)
	}
}
