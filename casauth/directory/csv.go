package directory

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
)

// readCSV reads a list with a header row: separated by semicolons as Excel does
// in French, by tabs as copied from PRONOTE's Client, or by commas.
func (f *file) readCSV(r io.Reader) error {
	text := bufio.NewReaderSize(&lineEnds{bufio.NewReader(r)}, 64<<10)
	start := ahead(text)
	if bytes.HasPrefix(bytes.ToLower(start), []byte("sep=")) { // Excel's own first line
		if _, err := text.ReadSlice('\n'); err != nil {
			return refuseEmpty()
		}
		f.skipped++
		start = ahead(text)
	}
	separator, ok := separatorOf(start)
	if !ok {
		return refuseForeign()
	}
	rows := reader(text, separator)
	header, err := rows.Read()
	if err != nil {
		return refuseBroken(f.skipped + 1)
	}
	columns, err := columnsOf(header)
	if err != nil {
		return err
	}
	for {
		cells, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			var broken *csv.ParseError
			if errors.As(err, &broken) {
				return refuseBroken(f.skipped + broken.StartLine)
			}
			return refuseBroken(0)
		}
		number, _ := rows.FieldPos(0)
		if err := f.addCells(columns, cells, f.skipped+number); err != nil {
			return err
		}
	}
	if len(f.lines) == 0 {
		return refuseEmpty()
	}
	return nil
}

func (f *file) addCells(columns []field, cells []string, number int) error {
	var v values
	blank := true
	for i, cell := range cells {
		filled := strings.TrimSpace(cell) != ""
		if i >= len(columns) {
			if filled { // a separator in a name would shift all that follows
				return refuseBroken(number)
			}
			continue
		}
		blank = blank && !filled
		if columns[i] != noField {
			v[columns[i]] = cell
		}
	}
	if blank {
		return nil
	}
	return f.add(&v, "", number)
}

// lineEnds reads text whose lines may end with a carriage return alone, as in Excel's
// "CSV (Macintosh)": the whole list would be one header otherwise.
type lineEnds struct{ text *bufio.Reader }

func (l *lineEnds) Read(p []byte) (int, error) {
	n, err := l.text.Read(p)
	for i, c := range p[:n] {
		if c != '\r' {
			continue
		}
		next := p[i+1 : n]
		if len(next) == 0 {
			next, _ = l.text.Peek(1) // an error comes again
		}
		if !bytes.HasPrefix(next, []byte{'\n'}) {
			p[i] = '\n'
		}
	}
	return n, err
}

func reader(r io.Reader, separator rune) *csv.Reader {
	rows := csv.NewReader(r)
	rows.Comma = separator
	rows.FieldsPerRecord = -1 // spreadsheets leave out empty cells at the end
	rows.ReuseRecord = true
	return rows
}

// ahead returns as much of text as can be seen without reading it.
func ahead(text *bufio.Reader) []byte {
	start, _ := text.Peek(text.Size()) // shorter files give an error, and what there is
	return start
}

// separatorOf finds the separator by which the header has a PRONOTE identifier.
// A title can hold one of the others, so more columns count more.
func separatorOf(start []byte) (separator rune, ok bool) {
	most := 0
	for _, try := range []rune{';', '\t', ','} {
		header, err := reader(bytes.NewReader(start), try).Read()
		if err != nil || len(header) <= most {
			continue
		}
		for _, title := range header {
			if fieldOf(title) == fieldID {
				separator, ok, most = try, true, len(header)
				break
			}
		}
	}
	return separator, ok
}

func columnsOf(header []string) ([]field, error) {
	columns := make([]field, len(header))
	titles := make(map[field]string)
	for i, title := range header {
		columns[i] = fieldOf(title)
		if columns[i] == noField {
			continue
		}
		if before, twice := titles[columns[i]]; twice {
			return nil, refuseColumns(clipped(before), clipped(title))
		}
		titles[columns[i]] = title
	}
	return columns, nil
}
