package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Defaults of [Multipart].
const (
	DefaultMaxMultipart = 8 << 20 // bytes of a body, which is held in memory
	DefaultMaxFiles     = 10
	DefaultMaxBatch     = 10 // operations of one request
)

// Multipart answers requests of the GraphQL multipart request specification: POST with multipart/form-data, whose parts are `operations`, then
// `map`, then files. An upload is a [graphql.Upload] in the variables, one for each path of its file, over bytes in memory; [OpenUpload] reads it. Parts
// that the map does not name are passed over.
//
// `operations` may be a batch, an array of requests: they are executed one after the other in one time, and answered by an array with status
// 200. Files then have the index of their operation before their path.
//
// A page of any site can have a form sent, with the browser's cookies: a request must carry a header that forms cannot set and pages of other
// sites only after a preflight, one of GraphQL-Require-Preflight, Apollo-Require-Preflight and X-Apollo-Operation-Name, not empty; else it is
// answered 400 with [CodePreflight]. What is over a limit is answered 413, what is malformed 400, before anything is executed; media types and
// statuses are otherwise those of [HTTP]. What the headers alone tell is refused before the body is read: all of these, a length over MaxBody, and whom Admit
// refuses. A body that comes too slowly is answered 408, and the connection closed.
//
// It must be added before [HTTP]. It is safe for concurrent use.
type Multipart struct {
	// Timeout is as in [HTTP], and begins once the body was read; of a batch it is that of all operations together.
	Timeout time.Duration
	// MaxBody is the most bytes of a body. Zero or less: [DefaultMaxMultipart].
	MaxBody int64
	// MaxText is the most bytes of `operations`, and of `map`. Zero or less: no more than MaxBody.
	MaxText int64
	// MaxFiles is the most files of a request. Zero: [DefaultMaxFiles]; negative: none are taken.
	MaxFiles int
	// MaxOperations is the most operations of a batch. Zero: [DefaultMaxBatch]; negative: batches are refused as malformed.
	MaxOperations int
	// Admit is asked about a request whose headers are in order, before its body is read, and may wait. Whom it refuses is answered a status and
	// an error, which the executor presents. leave is called once: when the body is refused, or when it and what was made of it are needed no more, before the answer
	// is written. nil: everybody is let in.
	Admit func(ctx context.Context) (leave func(), status int, err error)
	// MinRate is how many bytes a second a body must come with, from the moment on in which it is first read. Zero or less: a body has the time that
	// the server gives it.
	MinRate int64
	// Grace is how much later than MinRate says a body may be, MaxTime how long it may take whatever its rate; zero: no such bound.
	Grace, MaxTime time.Duration
	// Draft answers what is well formed with the statuses of [HTTP.Draft]; a batch always with 200, and what is malformed always with 400.
	Draft bool
}

// Supports implements [graphql.Transport].
func (t Multipart) Supports(r *http.Request) bool {
	if r.Method != http.MethodPost || isUpgrade(r) {
		return false
	}
	// A type with parameters that cannot be read is still what it says, and gets an answer of ours.
	name, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(name), "multipart/form-data")
}

// Do implements [graphql.Transport].
func (t Multipart) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx := graphql.StartOperationTrace(r.Context())
	started := graphql.Now()
	w.Header().Add("Vary", "Accept")
	media, acceptable := negotiate(r.Header.Values("Accept"))
	if !acceptable {
		media = mediaJSON
	}
	answer := answerer{w: w, exec: exec, media: media, draft: t.Draft}
	if !acceptable {
		answer.refuse(ctx, http.StatusNotAcceptable, newError(CodeInvalid, "answers are %s or %s, in utf-8", mediaJSON, mediaResponse))
		return
	}
	boundary, status, refusal := t.look(r)
	if refusal != nil {
		answer.refuse(ctx, status, refusal)
		return
	}
	leave, status, err := t.admit(ctx)
	if err != nil {
		answer.refuse(ctx, status, gqlerror.WrapIfUnwrapped(err))
		return
	}
	defer leave() // where something panics
	f, status, refusal := t.read(w, r, boundary)
	if refusal != nil {
		leave()
		answer.refuse(ctx, status, refusal)
		return
	}
	read := graphql.TraceTiming{Start: started, End: graphql.Now()}
	for _, params := range f.operations {
		params.Headers, params.ReadTime = r.Header, read
	}
	ctx, cancel := withTimeout(ctx, orDefault(t.Timeout, DefaultTimeout))
	defer cancel()
	status, body := answer.form(ctx, f)
	leave()
	answer.writeBody(status, body)
}

// admit asks Admit; leave may be called again.
func (t Multipart) admit(ctx context.Context) (leave func(), status int, err error) {
	if t.Admit == nil {
		return func() {}, 0, nil
	}
	leave, status, err = t.Admit(ctx)
	if err != nil {
		return nil, status, err
	}
	return sync.OnceFunc(leave), 0, nil
}

// OpenUpload reads an upload of [Multipart] from its beginning, whoever else reads it: a variable may stand in several places of a document, and all of
// them have the one File. It is safe for concurrent use.
func OpenUpload(u graphql.Upload) io.Reader {
	if at, ok := u.File.(io.ReaderAt); ok {
		return io.NewSectionReader(at, 0, u.Size)
	}
	return u.File // of another transport
}

// form executes an operation, or several one after the other, and returns the answer to all of them with a status.
func (a answerer) form(ctx context.Context, f *form) (status int, body []byte) {
	if !f.batch {
		status, resp := a.run(ctx, http.MethodPost, f.operations[0])
		return status, encodeResponse(resp)
	}
	body = []byte{'['}
	for i, params := range f.operations {
		if i > 0 {
			body = append(body, ',')
		}
		_, resp := a.run(ctx, http.MethodPost, params)
		body = append(body, encodeResponse(resp)...)
	}
	return http.StatusOK, append(body, ']')
}

func preflighted(header http.Header) bool {
	for _, name := range []string{"GraphQL-Require-Preflight", "Apollo-Require-Preflight", "X-Apollo-Operation-Name"} {
		if header.Get(name) != "" {
			return true
		}
	}
	return false
}

// form is what is made of a body.
type form struct {
	operations []*graphql.RawParams
	batch      bool
	// paths are those of each file that the map names, until the file came.
	paths map[string][]string
	// maxText is the most bytes of operations and map.
	maxText int64
}

// look finds what is wrong with the headers of a request, with a status; else it returns what stands between the parts of its body.
func (t Multipart) look(r *http.Request) (boundary string, status int, refusal *gqlerror.Error) {
	if !preflighted(r.Header) {
		return "", http.StatusBadRequest, newError(CodePreflight, "a form of any page could have sent this: send the header GraphQL-Require-Preflight: 1")
	}
	_, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || parameters["boundary"] == "" {
		return "", http.StatusBadRequest, newError(CodeInvalid, "the type of the body must be multipart/form-data with a boundary")
	}
	if limit := t.maxBody(); r.ContentLength > limit {
		return "", http.StatusRequestEntityTooLarge, limitError(int(limit), bodyOver, limit)
	}
	return parameters["boundary"], 0, nil
}

const bodyOver = "the body is over %d bytes"

func (t Multipart) maxBody() int64 { return positiveOr(t.MaxBody, DefaultMaxMultipart) }

// read takes a body apart. What is wrong with it comes with a status.
func (t Multipart) read(w http.ResponseWriter, r *http.Request, boundary string) (*form, int, *gqlerror.Error) {
	limit := t.maxBody()
	f := &form{maxText: positiveOr(t.MaxText, limit)}
	var body io.Reader = http.MaxBytesReader(w, r.Body, limit)
	if t.MinRate > 0 {
		p := &paced{body: body, from: http.NewResponseController(w), began: time.Now(), rate: t.MinRate, grace: t.Grace, most: t.MaxTime}
		defer p.end()
		body = p
	}
	err := f.read(multipart.NewReader(body, boundary),
		max(orDefault(t.MaxFiles, DefaultMaxFiles), 0), orDefault(t.MaxOperations, DefaultMaxBatch))
	if err == nil {
		_, err = io.Copy(io.Discard, body) // what stands behind the last part counts, too
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, http.StatusRequestTimeout, newError(CodeUnavailable, "the body came too slowly")
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = formLimit{bodyOver, int(limit)}
	}
	if err == nil {
		return f, 0, nil
	}
	if exceeded, ok := errors.AsType[formLimit](err); ok {
		return nil, http.StatusRequestEntityTooLarge, limitError(exceeded.limit, exceeded.text, exceeded.limit)
	}
	// What the readers of mime and JSON say of a body may quote it; what is said here does not.
	if said, ok := errors.AsType[paramsError](err); ok {
		return nil, http.StatusBadRequest, newError(CodeInvalid, "%s", said)
	}
	return nil, http.StatusBadRequest, newError(CodeInvalid, "the body is malformed, or ends too early")
}

// formLimit is a limit that a body is over; the text has a place for it.
type formLimit struct {
	text  string
	limit int
}

// Error implements error.
func (e formLimit) Error() string { return e.text }

func (f *form) read(parts *multipart.Reader, maxFiles, maxOperations int) error {
	for {
		part, err := parts.NextPart()
		if err == io.EOF { // the sentinel itself; one that is wrapped is an end too early.
			break
		}
		if err != nil {
			return err
		}
		if err := f.take(part, maxFiles, maxOperations); err != nil {
			return err
		}
	}
	switch {
	case f.operations == nil:
		return paramsError("`operations` is missing")
	case f.paths == nil:
		return paramsError("`map` is missing")
	case len(f.paths) > 0:
		return paramsError("a file that `map` names is missing")
	}
	return nil
}

func (f *form) take(part *multipart.Part, maxFiles, maxOperations int) error {
	name := part.FormName()
	switch name {
	case "operations":
		if f.operations != nil {
			return paramsError("`operations` is given twice")
		}
		text, err := f.readText(part)
		if err != nil {
			return err
		}
		return f.decodeOperations(text, maxOperations)
	case "map":
		switch {
		case f.operations == nil:
			return paramsError("`operations` must come before `map`")
		case f.paths != nil:
			return paramsError("`map` is given twice")
		}
		text, err := f.readText(part)
		if err != nil {
			return err
		}
		return f.decodeMap(text, maxFiles)
	}
	paths, named := f.paths[name]
	if !named {
		_, err := io.Copy(io.Discard, part)
		return err
	}
	delete(f.paths, name)
	file, err := io.ReadAll(part)
	if err != nil {
		return err
	}
	if !utf8.ValidString(part.FileName()) {
		return paramsError("a file's name must be utf-8")
	}
	for _, path := range paths {
		upload := graphql.Upload{File: bytes.NewReader(file), Filename: part.FileName(), Size: int64(len(file)), ContentType: part.Header.Get("Content-Type")}
		if err := f.place(path, upload); err != nil {
			return err
		}
	}
	return nil
}

// readText reads a part that is no file.
func (f *form) readText(part io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(part, f.maxText+1))
	if err == nil && int64(len(text)) > f.maxText {
		err = formLimit{"`operations` or `map` is over %d bytes", int(f.maxText)}
	}
	return text, err
}

// decodeOperations takes one request, or an array of them.
func (f *form) decodeOperations(text []byte, most int) error {
	const malformed = paramsError("`operations` must be a JSON object, or an array of such that is not empty")
	if !utf8.Valid(text) {
		return malformed
	}
	text = bytes.TrimSpace(text)
	f.batch = len(text) > 0 && text[0] == '['
	list := []map[string]json.RawMessage{nil}
	if f.batch {
		if most < 0 {
			return paramsError("batches of operations are not taken")
		}
		if json.Unmarshal(text, &list) != nil || len(list) == 0 {
			return malformed
		}
		if len(list) > most {
			return formLimit{"more than %d operations in one request", most}
		}
	} else if json.Unmarshal(text, &list[0]) != nil {
		return malformed
	}
	for _, members := range list {
		if members == nil {
			return malformed
		}
		params, err := decodeParams(members)
		if err != nil {
			return err
		}
		f.operations = append(f.operations, params)
	}
	return nil
}

// decodeMap takes the paths of each file.
func (f *form) decodeMap(text []byte, most int) error {
	const malformed = paramsError("`map` must be a JSON object whose values are arrays of paths")
	if !utf8.Valid(text) || json.Unmarshal(text, &f.paths) != nil || f.paths == nil {
		return malformed
	}
	if len(f.paths) > most {
		return formLimit{"more than %d files in one request", most}
	}
	for _, paths := range f.paths {
		if len(paths) == 0 {
			return malformed
		}
	}
	return nil
}

// place puts an upload where the null is that the path leads to.
func (f *form) place(path string, upload graphql.Upload) error {
	const nowhere = paramsError("a path of `map` must lead to a null in the variables of an operation, and no two to the same")
	steps := strings.Split(path, ".")
	at := 0
	if f.batch {
		var ok bool
		if at, ok = index(steps[0], len(f.operations)); !ok {
			return nowhere
		}
		steps = steps[1:]
	}
	if len(steps) < 2 || steps[0] != "variables" {
		return nowhere
	}
	var holder any = f.operations[at].Variables
	for i, step := range steps[1:] {
		last := i == len(steps)-2
		switch h := holder.(type) {
		case map[string]any:
			value, has := h[step]
			if last && has && value == nil {
				h[step] = upload
				return nil
			}
			holder = value
		case []any:
			n, ok := index(step, len(h))
			if !ok {
				return nowhere
			}
			if last && h[n] == nil {
				h[n] = upload
				return nil
			}
			holder = h[n]
		default:
			return nowhere
		}
	}
	return nowhere
}

// index is the number that a step of a path is, below limit, as it is written.
func index(step string, limit int) (int, bool) {
	n, err := strconv.Atoi(step)
	return n, err == nil && n >= 0 && n < limit && strconv.Itoa(n) == step
}
