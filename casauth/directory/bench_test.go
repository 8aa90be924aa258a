package directory

import (
	"strings"
	"testing"
)

var benchmarkList = people(100_000, 0)

func BenchmarkImport100000Rows(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		d := open(newMemory())
		if _, err := d.Import(b.Context(), strings.NewReader(benchmarkList), "", Full, false, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(100_000*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkReadImport100000Rows(b *testing.B) {
	store := newMemory()
	put(b, open(store), Full, benchmarkList)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := open(store).imported(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResolveKnown(b *testing.B) {
	d := open(newMemory())
	resolve(b, d, sends("u1", "idPronote", lea))
	b.ReportAllocs()
	for b.Loop() {
		if got, err := d.Resolve(b.Context(), sends("u1")); err != nil || got.PronoteID != lea {
			b.Fatal(got, err)
		}
	}
}

func BenchmarkMatchIdentityAmong100000(b *testing.B) {
	d := open(newMemory())
	put(b, d, Full, benchmarkList)
	rows, err := d.imported(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	c := sends("u1", "nom", "nom 77777", "prenom", "prénom-77777", "dateNaissance", "22/06/2017", "categories", "National_1")
	for b.Loop() {
		if len(d.match(rows, c)) != 1 {
			b.Fatal(d.match(rows, c))
		}
	}
}
