package directory

import "testing"

func TestDatesAreReadAsPeopleAndENTsWriteThem(t *testing.T) {
	for in, want := range map[string]string{
		"07/03/2012": "2012-03-07", "7/3/2012": "2012-03-07", "07-03-2012": "2012-03-07", "07.03.2012": "2012-03-07",
		" 07 03 2012 ": "2012-03-07", "07032012": "2012-03-07", "2012-03-07": "2012-03-07", "20120307": "2012-03-07",
		"2012-03-07T00:00:00Z": "2012-03-07", "07/03/2012 00:00": "2012-03-07", "29/02/2012": "2012-02-29",
		"29/02/2011": "", "31/04/2012": "", "2012-13-01": "", "07/03/12": "", "12/2012": "", "": "", "jadis": "",
		"07/03/2012/1": "", "1812-03-07": "", "07/03/2012x": "", "-07/03/2012": "2012-03-07", "٠٧/٠٣/٢٠١٢": "",
		"00/00/0000": "", "123456789": "", "1/1/1": "",
	} {
		if got, ok := ParseDate(in); got != want || ok != (want != "") {
			t.Errorf("ParseDate(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
}

func TestNamesAreComparedWithoutAccentsCaseHyphensAndBlanks(t *testing.T) {
	for _, same := range [][]string{
		{"Le Goff-D'Arc", "LE GOFF D’ARC", "le  goff d`arc", "LEGOFFDARC", "Le Goff–d'Arc"},
		{"Éléonore", "ELEONORE", "Éléonore", "eleonore\u00A0"},
		{"Cœur", "COEUR"}, {"Lætitia", "LAETITIA"}, {"Groß", "GROSS"}, {"Müller", "MULLER"}, {"Ñuñez", "nunez"}, {"Łukasz", "LUKASZ"},
	} {
		for _, name := range same {
			if got := Fold(name); got != Fold(same[0]) || got == "" {
				t.Errorf("%q folds to %q, %q to %q", name, got, same[0], Fold(same[0]))
			}
		}
	}
	for _, other := range []string{"Martin", "Martine", "Marti n 2", ""} {
		if other != "Martin" && Fold(other) == Fold("Martin") {
			t.Errorf("%q is Martin", other)
		}
	}
}

func TestCategoriesGoByPronotesWordsAndTheProfilesOfENTs(t *testing.T) {
	for in, want := range map[string]Category{
		"Élève": Eleve, "ELEVES": Eleve, "National_1": Eleve, "national 1": Eleve, "National_ELV": Eleve,
		"Responsable": Responsable, "Parents": Responsable, "National_2": Responsable,
		"Parents d’élèves": Responsable, "Parent d'élève": Responsable, "Responsables légaux": Responsable, "Responsables d’élèves": Responsable,
		"Professeurs": Professeur, "Enseignant": Professeur, "National_3": Professeur, "National_DOC": Professeur,
		"Personnels": Personnel, "National_4": Personnel, "Accompagnants": Accompagnant,
		"Tuteurs": Tuteur, "MaitreDeStage": Tuteur, "Maîtres de stage": Tuteur,
		"": "", "National_9": "", "Inspecteur": "", "s": "", "maitres": "",
	} {
		if got, ok := ParseCategory(in); got != want || ok != (want != "") {
			t.Errorf("ParseCategory(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
}

func TestAnIdentifierIsSixteenLettersAndDigits(t *testing.T) {
	for in, want := range map[string]string{
		"KT2AQ3UW4S98DPYX": "KT2AQ3UW4S98DPYX", " kt2aq3uw4s98dpyx\n": "KT2AQ3UW4S98DPYX", "0000000000000000": "0000000000000000",
		"KT2AQ3UW4S98DPY": "", "KT2AQ3UW4S98DPYXX": "", "KT2A Q3UW 4S98 DP": "", "ſT2AQ3UW4S98DPYX": "", "ſT2AQ3UW4S98DPY": "", "": "",
	} {
		if got, ok := identifier(in); got != want || ok != (want != "") {
			t.Errorf("identifier(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
}
