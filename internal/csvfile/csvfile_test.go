package csvfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// read is all records of a file that comes in parts of some size, each as its fields or what is wrong with it.
func read(file string, part int) []string {
	var c Census
	for rest := []byte(file); len(rest) > 0; rest = rest[min(part, len(rest)):] {
		c.Add(rest[:min(part, len(rest))])
	}
	_, encoding := c.End()
	r := Reader{Encoding: encoding, Longest: 60}
	var all []string
	data, begun := "", 0
	for at := 0; at < len(file) || data != ""; {
		fields, size, err := r.Read([]byte(data), begun == 0, at == len(file))
		if size == 0 {
			next := min(at+part, len(file))
			data, at = data+file[at:next], next
			continue
		}
		data, begun = data[size:], begun+size
		switch {
		case err != nil:
			all = append(all, err.Error())
		case fields != nil:
			all = append(all, strings.Join(fields, "|"))
		}
	}
	return all
}

func gb18030(s string) string {
	text, err := simplifiedchinese.GB18030.NewEncoder().String(s)
	if err != nil {
		panic(err)
	}
	return text
}

// Ensure records come out alike however the file is cut, in either encoding, and one that is bad costs itself alone.
func TestRead(t *testing.T) {
	long := strings.Repeat("x", 61)
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"plain":                    {"a,b\nc,d\n", []string{"a|b", "c|d"}},
		"windows line ends":        {"a,b\r\nc,d\r\n", []string{"a|b", "c|d"}},
		"no line end at the end":   {"a,b\nc,d", []string{"a|b", "c|d"}},
		"blank lines":              {"a\n\n\r\nb\n\n", []string{"a", "b"}},
		"empty":                    {"", nil},
		"byte order mark":          {"\uFEFFopenid\n王\n", []string{"openid", "王"}},
		"gb18030":                  {gb18030("昵称,备注\n王小明,\"两行\n字\"\n"), []string{"昵称|备注", "王小明|两行\n字"}},
		"gb18030 behind ascii":     {strings.Repeat("plain\n", 20) + gb18030("中\n"), append(slices.Repeat([]string{"plain"}, 20), "中")},
		"four bytes of gb18030":    {gb18030("㐀,𠀀\n"), []string{"㐀|𠀀"}},
		"gb18030 cut like UTF-8":   {gb18030("a\n涓"), []string{"a", "涓"}},
		"quotes in two lines":      {"5\" a\nb\" c\nd\n", []string{ErrQuotes.Error(), ErrQuotes.Error(), "d"}},
		"quotes":                   {"\"a,\"\"b\"\"\nc\",d\n", []string{"a,\"b\"\nc|d"}},
		"a quote inside":           {"a\n5\" disk,x\nb\n", []string{"a", ErrQuotes.Error(), "b"}},
		"a quote never closed":     {"a\n\"open,x\nb\nc\n", []string{"a", ErrQuotes.Error(), "b", "c"}},
		"a quote closed far later": {"a\n5\",x\nb\n\"q\",c\n", []string{"a", ErrQuotes.Error(), "b", "q|c"}},
		"too long":                 {"a\n" + long + "\nb\n", []string{"a", ErrTooLong.Error(), "b"}},
		"as long as may be":        {"a\n" + long[1:] + "\nb\n", []string{"a", long[1:], "b"}},
		"broken encoding":          {"a\n\xff\xff\nb\n", []string{"a", ErrEncoding.Error(), "b"}},
	} {
		for _, part := range []int{1, 2, 3, 7, 64, 1000} {
			if got := read(test.file, part); !slices.Equal(got, test.want) {
				t.Errorf("%s, %d bytes at a time: %q, want %q", name, part, got, test.want)
			}
		}
	}
}

// Ensure a census is the same however the file is cut, and counts what is read.
func TestCensus(t *testing.T) {
	for _, file := range []string{"", "a", "a\n\nb\r\n", "\"a\nb\",c\nd", "王\n明", gb18030("王\n明"), "王"[:2], "\n\n"} {
		var whole Census
		whole.Add([]byte(file))
		records, encoding := whole.End()
		for part := 1; part < 5; part++ {
			var c Census
			for rest := []byte(file); len(rest) > 0; rest = rest[min(part, len(rest)):] {
				c.Add(rest[:min(part, len(rest))])
			}
			if r, e := c.End(); r != records || e != encoding {
				t.Errorf("%q, %d bytes at a time: %d %s, want %d %s", file, part, r, e, records, encoding)
			}
		}
		if n := len(read(file, 1000)); int64(n) != records {
			t.Errorf("%q has %d records, the census counts %d", file, n, records)
		}
	}
}

// Ensure no bytes stop a reader, every byte belongs to one record, and a file that was written comes back.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"a,b\n", "\"a\nb\",c", "\uFEFFx\n", "\"\n\n", gb18030("王,明\n"), "a\"b\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		var c Census
		c.Add(file)
		_, e := c.End()
		r := Reader{Encoding: e, Longest: 40}
		for at := 0; at < len(file); {
			_, size, err := r.Read(file[at:], at == 0, true)
			if size < 1 || at+size > len(file) {
				t.Fatalf("at %d of %q a record takes %d bytes", at, file, size)
			}
			if err != nil && !errors.Is(err, ErrQuotes) && !errors.Is(err, ErrTooLong) && !errors.Is(err, ErrEncoding) {
				t.Fatal(err)
			}
			at += size
		}
		text := strings.ToValidUTF8(strings.ReplaceAll(string(file), "\r", ""), "")
		if len(text) > 30 || text == "" {
			return
		}
		quoted := fmt.Sprintf("\"%s\",x\nnext\n", strings.ReplaceAll(text, `"`, `""`))
		r = Reader{Encoding: UTF8, Longest: 100}
		if fields, size, err := r.Read([]byte(quoted), false, true); err != nil || len(fields) != 2 || fields[0] != text || size != len(quoted)-len("next\n") {
			t.Errorf("%q came back as %q, %d bytes, %v", quoted, fields, size, err)
		}
	})
}
