package directory

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	textunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

const (
	maxBytes = 64 << 20 // a hundred thousand people are 10 MiB of CSV, 25 MiB of XML
	maxRows  = 500_000
	maxValue = 200 // characters of a name or a CAS identifier
)

// line is a row as it stands in a file.
type line struct {
	Row
	Number int
	noDate bool // there was a birth date that cannot be read
	noKind bool // there was a category that is not known
}

// file is all that a file says.
type file struct {
	lines   []line
	without numbers // people without a PRONOTE identifier
	skipped int     // lines before the first that a parser sees

	byID     map[string]int // line numbers
	byUser   map[string]int
	twice    [][2]int // lines with the same PRONOTE identifier
	twiceCAS [][2]int
	progress func(n int)
}

// progressEvery is after how many rows progress is told.
const progressEvery = 1000

// errTooLarge is what the reader of a file says at its limit.
var errTooLarge = errors.New("too large")

// capped reads at most left bytes, and fails instead of ending where there are
// more: half a file must not pass for a whole one.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// readFile reads an export of any form. The error is an *ImportError, or what
// reading r failed with.
func readFile(r io.Reader, limit int64, progress func(int)) (*file, error) {
	source := &failing{r: &capped{r, limit}}
	f := &file{byID: make(map[string]int), byUser: make(map[string]int), progress: progress}
	err := f.read(source)
	switch {
	case errors.Is(source.err, errTooLarge):
		err = refuseTooLarge()
	case source.err != nil:
		err = source.err // whatever a parser made of it
	}
	if err != nil {
		return nil, err
	}
	if len(f.twice) > 0 {
		return nil, refuseDuplicates(ImportDuplicateCode, f.twice[:min(5, len(f.twice))], max(0, len(f.twice)-5))
	}
	if len(f.twiceCAS) > 0 {
		return nil, refuseDuplicates(ImportDuplicateUser, f.twiceCAS[:min(5, len(f.twiceCAS))], max(0, len(f.twiceCAS)-5))
	}
	if progress != nil {
		progress(len(f.lines))
	}
	return f, nil
}

// failing keeps the error that reading a file failed with.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

func (f *file) read(r io.Reader) error {
	raw := bufio.NewReader(r)
	start, _ := raw.Peek(4) // an error comes again
	marked := hasByteOrderMark(start)
	text := bufio.NewReaderSize(raw, 64<<10)
	if marked {
		text = bufio.NewReaderSize(transform.NewReader(raw, textunicode.BOMOverride(transform.Nop)), 64<<10)
	}
	for {
		c, _, err := text.ReadRune()
		if err == io.EOF {
			return refuseEmpty()
		}
		if err != nil {
			return refuseBroken(0)
		}
		if !unicode.IsSpace(c) {
			_ = text.UnreadRune() // the last thing that was read
			break
		}
		if c == '\n' {
			f.skipped++
		}
	}
	start, _ = text.Peek(1024)
	var plain io.Reader = text
	if !marked {
		plain = decoded(text, declaredEncoding(start))
	}
	switch {
	case isArchive(start):
		return refuseSpreadsheet()
	case plain == nil:
		return refuseEncoding()
	case start[0] == '<':
		return f.readXML(plain)
	}
	return f.readCSV(plain)
}

func hasByteOrderMark(start []byte) bool {
	for _, mark := range []string{"\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF"} {
		if bytes.HasPrefix(start, []byte(mark)) {
			return true
		}
	}
	return false
}

// isArchive tells zip (xlsx, ods), the old Excel form, gzip and PDF.
func isArchive(start []byte) bool {
	for _, magic := range []string{"PK\x03\x04", "\xD0\xCF\x11\xE0", "\x1F\x8B", "%PDF"} {
		if bytes.HasPrefix(start, []byte(magic)) {
			return true
		}
	}
	return false
}

// declaredEncoding returns what an XML declaration at the start of a file says, or
// "".
func declaredEncoding(start []byte) string {
	declaration, _, ok := bytes.Cut(start, []byte("?>"))
	if !ok || !bytes.HasPrefix(declaration, []byte("<?xml")) {
		return ""
	}
	_, value, _ := bytes.Cut(declaration, []byte("encoding"))
	value = bytes.TrimLeft(value, " \t\r\n=")
	if len(value) == 0 || value[0] != '"' && value[0] != '\'' {
		return ""
	}
	label, _, _ := bytes.Cut(value[1:], value[:1])
	return string(label)
}

// decoded returns text, which has no byte order mark, in UTF-8, or nil where
// label is no known encoding.
func decoded(text *bufio.Reader, label string) io.Reader {
	switch strings.ToLower(label) {
	case "", "utf-8", "utf8", "us-ascii", "utf-16": // the last is not true: we could not have read it
		return &undeclared{text: text}
	}
	encoding, err := htmlindex.Get(label) // iso-8859-1 is windows-1252, as files of Windows mean it
	if err != nil {
		return nil
	}
	return transform.NewReader(text, encoding.NewDecoder())
}

// undeclared reads text that does not say how it is encoded, or says UTF-8, as
// programs do that do not know better: as UTF-8 if the first character beyond
// ASCII is one in UTF-8, which no French name in windows-1252 looks like, and
// else as windows-1252.
type undeclared struct {
	text    *bufio.Reader
	decided io.Reader
}

func (u *undeclared) Read(p []byte) (int, error) {
	if u.decided != nil {
		return u.decided.Read(p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if _, err := u.text.Peek(1); err != nil {
		return 0, err
	}
	ahead, _ := u.text.Peek(min(u.text.Buffered(), len(p)))
	ascii := 0
	for ascii < len(ahead) && ahead[ascii] < utf8.RuneSelf {
		ascii++
	}
	if ascii > 0 {
		return u.text.Read(p[:ascii])
	}
	start, _ := u.text.Peek(utf8.UTFMax)
	if c, size := utf8.DecodeRune(start); c == utf8.RuneError && size <= 1 {
		u.decided = transform.NewReader(u.text, charmap.Windows1252.NewDecoder())
	} else {
		u.decided = u.text
	}
	return u.decided.Read(p)
}

// add takes one person. number is the line that it starts on.
func (f *file) add(values *values, category Category, number int) error {
	for i, value := range values {
		if !utf8.ValidString(value) || len(value) > 4*maxValue {
			return refuseText(number)
		}
		value = clean(value)
		if utf8.RuneCountInString(value) > maxValue || strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }) {
			return refuseText(number)
		}
		values[i] = value
	}
	if values[fieldID] == "" {
		f.without.add(number)
		return nil
	}
	id, ok := identifier(values[fieldID])
	if !ok {
		return refuseCode(number)
	}
	if len(f.lines) == maxRows {
		return refuseTooLarge()
	}
	l := line{Number: number, Row: Row{
		PronoteID: id, User: values[fieldUser], Category: category, Source: Imported,
		LastName: values[fieldLastName], FirstName: values[fieldFirstName],
	}}
	if date := values[fieldBirthDate]; date != "" {
		l.BirthDate, ok = ParseDate(date)
		l.noDate = !ok
	}
	if name := values[fieldCategory]; name != "" {
		if named, ok := ParseCategory(name); ok {
			l.Category = named
		} else {
			l.noKind = l.Category == ""
		}
	}
	if before, twice := f.byID[id]; twice {
		f.twice = append(f.twice, [2]int{before, number})
	} else {
		f.byID[id] = number
	}
	if l.User != "" {
		if before, twice := f.byUser[l.User]; twice {
			f.twiceCAS = append(f.twiceCAS, [2]int{before, number})
		} else {
			f.byUser[l.User] = number
		}
	}
	f.lines = append(f.lines, l)
	if n := len(f.lines); f.progress != nil && n%progressEvery == 0 {
		f.progress(n)
	}
	return nil
}

// clean returns a value with each run of blanks as one, and none around it.
func clean(value string) string {
	return strings.Join(strings.FieldsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || r == '\uFEFF' }), " ")
}

// clipped is a value that no file can hold, from elsewhere.
func clipped(value string) string {
	if utf8.RuneCountInString(value) > maxValue {
		return string([]rune(value)[:maxValue])
	}
	return value
}

// numbers counts lines and remembers the first few of them, in whatever order they
// come.
type numbers struct {
	count int
	first []int
}

func (n *numbers) add(number int) {
	n.count++
	at, _ := slices.BinarySearch(n.first, number)
	n.first = slices.Insert(n.first, at, number)
	n.first = n.first[:min(5, len(n.first))]
}
