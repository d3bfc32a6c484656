package server

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"clientele/limits"
	"clientele/models"
)

// image answers GET and HEAD of a signed address with the image's bytes (rule H6). It asks for no token. Whatever is wrong with an address, it is
// answered the same 403; 404 with a right signature says that the image is deleted.
func (s *Server) image(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), limits.UploadTime)
	defer cancel()
	query := r.URL.Query()
	if len(query["e"]) != 1 || len(query["s"]) != 1 || len(query) != 2 {
		query = nil
	}
	image, until, err := s.services.SignedImage(ctx, r.PathValue("account"), r.PathValue("image"), query.Get("e"), query.Get("s"))
	if err != nil {
		s.noImage(ctx, w, err)
		return
	}
	tag := fmt.Sprintf("%q", hex.EncodeToString([]byte(image.Hash)))
	left := max(until.Go().Sub(s.services.Now().Go())/time.Second, 0)
	h.Set("Cache-Control", fmt.Sprintf("private, max-age=%d", left))
	h.Set("ETag", tag)
	if hasTag(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		s.metrics.images.WithLabelValues("304").Inc()
		return
	}
	var bytes io.ReadCloser
	if r.Method == http.MethodGet {
		if bytes, err = s.services.OpenImage(ctx, image); err != nil {
			h.Del("ETag")
			s.noImage(ctx, w, err)
			return
		}
		defer bytes.Close()
	}
	h.Set("Content-Type", image.Type.MediaType())
	h.Set("Content-Length", strconv.FormatInt(image.Bytes, 10))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limits.UploadTime))
	s.metrics.images.WithLabelValues("200").Inc()
	w.WriteHeader(http.StatusOK)
	if bytes != nil {
		_, _ = io.CopyN(w, bytes, image.Bytes) // the client is gone if this fails
	}
}

// noImage answers why there is no image.
func (s *Server) noImage(ctx context.Context, w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	switch models.CodeOf(err) { // what else there is means that it cannot be said now.
	case models.CodeForbidden:
		status = http.StatusForbidden
	case models.CodeNotFound:
		status = http.StatusNotFound
	default:
		s.log.WarnContext(ctx, "an image cannot be shown", "error", err)
	}
	w.Header().Set("Cache-Control", "no-store")
	s.metrics.images.WithLabelValues(strconv.Itoa(status)).Inc()
	http.Error(w, http.StatusText(status), status)
}

// hasTag reports whether If-None-Match names a tag, or all.
func hasTag(values []string, tag string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(values, ","), ","), func(one string) bool {
		one = strings.TrimSpace(one)
		return one == "*" || strings.TrimPrefix(one, "W/") == tag
	})
}
