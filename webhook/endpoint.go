package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// answer is a response with what the metrics tell about it.
type answer struct {
	admission.Response
	kind, verdict, reason string
}

// ignored answers what is not ours to decide.
func ignored(req *request) (answer, error) {
	for field, raw := range map[string]json.RawMessage{"object": req.Object, "oldObject": req.OldObject} {
		if len(raw) > 0 && !json.Valid(raw) {
			return answer{}, badRequest(faultJSON, "the request's %s is not JSON", field)
		}
	}
	return answer{Response: admission.Allowed(""), kind: "other", verdict: verdictIgnored}, nil
}

// handler answers one kind of review. An error is a *fault, or something that could not be found out.
type handler func(ctx context.Context, req *request) (answer, error)

// endpoint serves a handler over HTTP: limits, decoding, encoding.
type endpoint struct {
	name   string
	handle handler
	server *Server
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, start := e.server, e.server.deps.Now()
	limit := budget(r)
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	s.prepare(w, start.Add(limit))
	body, err := e.answer(ctx, w, r)
	if err != nil {
		e.refuse(ctx, w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(body); err != nil {
		log.FromContext(ctx).V(1).Info("the client went away before its answer", "webhook", e.name, "error", err.Error())
	}
	s.metrics.duration.WithLabelValues(e.name).Observe(s.deps.Now().Sub(start).Seconds())
}

// answer returns the encoded AdmissionReview. Room for the request is given back before anything is
// written, so that a client that does not read holds none.
func (e *endpoint) answer(ctx context.Context, w http.ResponseWriter, r *http.Request) (encoded []byte, err error) {
	if err := e.server.acceptable(r); err != nil {
		return nil, err
	}
	size := r.ContentLength
	if size < 0 || size > maxBody {
		size = maxBody
	}
	if !e.server.limits.take(size) {
		e.server.metrics.shed.WithLabelValues(e.name).Inc()
		return nil, &fault{code: http.StatusTooManyRequests, reason: metav1.StatusReasonTooManyRequests,
			message: "sluice is handling as many reviews as it may; try again"}
	}
	defer e.server.limits.give(size)
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	return e.decide(ctx, body)
}

// decide turns an AdmissionReview into its answer. A panic is an error of this one request.
func (e *endpoint) decide(ctx context.Context, body []byte) (encoded []byte, err error) {
	subject := "a review"
	defer func() {
		if cause := recover(); cause != nil {
			log.FromContext(ctx).Error(nil, "admission panicked", "webhook", e.name, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			err = undecided(subject, &panicError{cause})
		}
	}()
	req, err := decodeReview(body)
	if err != nil {
		return nil, err
	}
	subject = req.subject()
	answer, err := e.handle(ctx, req)
	if err == nil {
		encoded, err = encode(req, answer)
	}
	var f *fault
	switch {
	case err == nil:
	case errors.As(err, &f):
		return nil, err
	default:
		return nil, undecided(subject, err)
	}
	e.server.metrics.verdicts.WithLabelValues(e.name, answer.kind, answer.verdict, answer.reason).Inc()
	e.log(ctx, req, answer)
	return encoded, nil
}

// refuse answers a call that got no decision.
func (e *endpoint) refuse(ctx context.Context, w http.ResponseWriter, err error) {
	m, logger := e.server.metrics, log.FromContext(ctx)
	var f *fault
	if !errors.As(err, &f) {
		f = undecided("a review", err)
	}
	var panicked *panicError
	if errors.As(err, &panicked) {
		m.panics.Inc()
	}
	switch {
	case f.code >= http.StatusInternalServerError:
		m.failures.WithLabelValues(e.name).Inc()
		logger.Error(err, "deciding on a review failed", "webhook", e.name)
	case f.code == http.StatusTooManyRequests:
		logger.V(1).Info("sent a review back since too many are being handled", "webhook", e.name)
	default:
		m.rejected.WithLabelValues(f.label).Inc()
		logger.V(1).Info("refused a request that is no review", "webhook", e.name, "reason", f.message)
	}
	f.write(w)
}

// log says what was decided: at V(0) where it changes or refuses something.
func (e *endpoint) log(ctx context.Context, req *request, a answer) {
	level := 1
	if !req.DryRun && (len(a.Patch) > 0 || !a.Allowed) {
		level = 0
	}
	logger := log.FromContext(ctx).V(level)
	if !logger.Enabled() {
		return
	}
	values := []any{"webhook", e.name, "workload", req.Namespace + "/" + req.Name, "kind", a.kind, "verdict", a.verdict,
		"user", req.UserInfo.Username, "dryRun", req.DryRun, "requestUID", req.UID}
	if !a.Allowed {
		values = append(values, "reason", a.Result.Message)
	}
	logger.Info("decided on a review", values...)
}

// acceptable checks what can be checked before the body is read.
func (s *Server) acceptable(r *http.Request) error {
	refused := func(code int, reason metav1.StatusReason, message string) error {
		return &fault{code: code, reason: reason, label: faultTransport, message: message}
	}
	contentType := r.Header.Get("Content-Type")
	switch {
	case s.opts.ClientCA != "" && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0):
		return refused(http.StatusUnauthorized, metav1.StatusReasonUnauthorized,
			"sluice answers only clients with a certificate of its client CA: give the API server one with --admission-control-config-file")
	case r.Method != http.MethodPost:
		return refused(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed,
			fmt.Sprintf("an AdmissionReview is posted, not sent with %s", r.Method))
	case contentType != "application/json":
		return refused(http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType,
			fmt.Sprintf("the content type is %q, not application/json", contentType))
	case r.ContentLength > maxBody:
		return tooLarge()
	}
	return nil
}

func tooLarge() error {
	return &fault{code: http.StatusRequestEntityTooLarge, reason: metav1.StatusReasonRequestEntityTooLarge, label: faultTooLarge,
		message: fmt.Sprintf("the body is larger than %d bytes, which no AdmissionReview is", maxBody)}
}

// readBody reads the whole body into memory of its size.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, maxBody)
	var body []byte
	var err error
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, body)
	} else {
		body, err = io.ReadAll(limited)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge()
	case err != nil:
		return nil, badRequest(faultBody, "reading the body: %v", err)
	case len(body) == 0:
		return nil, badRequest(faultBody, "the body is empty")
	}
	// The deadline was for this body. Where reading failed it stays, so that the rest is not awaited.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, nil
}

// encode returns the AdmissionReview that answers a request: the same answer gives the same bytes.
func encode(req *request, a answer) ([]byte, error) {
	a.UID = req.UID
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Response: &a.AdmissionResponse,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	return body, nil
}

// prepare bounds how long the client may take to send its request and to read its answer, and sends
// clients elsewhere while the server is about to stop.
func (s *Server) prepare(w http.ResponseWriter, deadline time.Time) {
	control := http.NewResponseController(w)
	// Errors mean that the connection can't have deadlines, which those of a real server can.
	_ = control.SetReadDeadline(deadline)
	_ = control.SetWriteDeadline(deadline.Add(time.Second))
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}
