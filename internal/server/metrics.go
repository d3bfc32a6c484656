package server

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"clientele/events"
	"clientele/internal/transport"
)

// metrics counts what the server does. Labels are of bounded number: kinds and codes, never ids.
type metrics struct {
	registry      *prometheus.Registry
	operations    *prometheus.HistogramVec
	sockets       prometheus.Gauge
	closed        *prometheus.CounterVec
	refused       *prometheus.CounterVec
	streams       *prometheus.GaugeVec
	streamsClosed *prometheus.CounterVec
	reservations  prometheus.Gauge
	subscriptions *prometheus.GaugeVec
	pushed        *prometheus.CounterVec
	documents     *prometheus.CounterVec
	deliveries    *prometheus.CounterVec
	pauses        prometheus.Counter
	asked         *prometheus.CounterVec
	images        *prometheus.CounterVec
	uploads       *prometheus.GaugeVec
	turnedAway    prometheus.Counter
	webhooks      *prometheus.CounterVec
	deadLetters   prometheus.Counter
}

func newMetrics(r *prometheus.Registry, hub *events.Hub, ballast func() uint64) *metrics {
	if r == nil {
		r = prometheus.NewRegistry()
	}
	m := &metrics{
		registry: r,
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "clientele_graphql_operation_seconds", Help: "Time of GraphQL operations, by kind and first error code.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15), //nolint:mnd // half a millisecond to eight seconds.
		}, []string{"operation", "code"}),
		sockets: prometheus.NewGauge(prometheus.GaugeOpts{Name: "clientele_websockets", Help: "Open WebSocket connections."}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "clientele_websockets_closed_total", Help: "Ended WebSocket connections, by close code.",
		}, []string{"code"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "clientele_websockets_refused_total", Help: "WebSocket connections that found no room, by why.",
		}, []string{"why"}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "clientele_event_streams", Help: "Open event streams: of one operation, or of many.",
		}, []string{"operations"}),
		streamsClosed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "clientele_event_streams_closed_total", Help: "Ended event streams, by the close code that a WebSocket would have had.",
		}, []string{"code"}),
		reservations: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "clientele_event_stream_reservations", Help: "Reserved event streams of many operations, open or not yet.",
		}),
		subscriptions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "clientele_subscriptions", Help: "Open subscriptions, by transport.",
		}, []string{"transport"}),
		pushed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "clientele_events_pushed_total", Help: "Events pushed to clients, by transport.",
		}, []string{"transport"}),
	}
	for _, why := range []transport.Refusal{transport.RefusedConnections, transport.RefusedStrangers, transport.RefusedPeer, transport.RefusedClosing} {
		m.refused.WithLabelValues(string(why)) // there from the start, as 0
	}
	for _, shared := range []bool{false, true} {
		m.streams.WithLabelValues(operationsOf(shared)) // there from the start, as 0
	}
	m.deliveries = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "clientele_deliveries_total", Help: "Messages handed to channels, by what became of them.",
	}, []string{"result"})
	m.pauses = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "clientele_outbound_pauses_total", Help: "Pauses of an account's messages because its channel did not answer.",
	})
	m.asked = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "clientele_platform_calls_total", Help: "Calls of the platform of WECHAT accounts, by part and by what came of them.",
	}, []string{"api", "answer"})
	m.webhooks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "clientele_webhook_calls_total", Help: "Calls of receivers of webhooks: OK, or why they failed.",
	}, []string{"outcome"})
	m.deadLetters = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "clientele_webhook_dead_letters_total", Help: "Events that receivers of webhooks did not take until the end.",
	})
	m.documents = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "clientele_untrusted_documents_total", Help: "Documents that are none of the trusted: free, executed; refused, of an ADVISOR.",
	}, []string{"result"})
	m.images = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "clientele_images_asked_total", Help: "Requests for images by signed address, by status.",
	}, []string{"status"})
	m.uploads = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "clientele_uploads", Help: "Multipart requests, by state: held, whose bodies are in memory or come; waiting, for a place.",
	}, []string{"state"})
	for _, state := range []string{uploadsHeld, uploadsWaiting} {
		m.uploads.WithLabelValues(state) // there from the start, as 0
	}
	m.turnedAway = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "clientele_uploads_refused_total", Help: "Multipart requests that found no place.",
	})
	r.MustRegister(m.uploads, m.turnedAway, m.images, m.operations, m.sockets, m.closed, m.refused, m.streams, m.streamsClosed, m.reservations, m.subscriptions, m.pushed, m.documents, m.deliveries, m.pauses, m.asked, m.webhooks, m.deadLetters,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if ballast != nil {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "clientele_heap_ballast_bytes", Help: "Bytes that go_memstats counts as heap and nobody uses.",
		}, func() float64 { return float64(ballast()) }))
	}
	gauge := func(name, help string, of func(events.Stats) int64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(of(hub.Stats())) }))
	}
	counter := func(name, help string, of func(events.Stats) int64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(of(hub.Stats())) }))
	}
	gauge("clientele_hub_feeds", "Feeds open in the hub.", func(s events.Stats) int64 { return s.Feeds })
	gauge("clientele_hub_streams", "Streams open in the hub.", func(s events.Stats) int64 { return s.Streams })
	gauge("clientele_hub_held", "Events read from the log that wait for slow feeds.", func(s events.Stats) int64 { return s.Held })
	counter("clientele_hub_log_failures_total", "Failed reads of the event log.", func(s events.Stats) int64 { return s.Failures })
	counter("clientele_hub_events_from_log_total", "Events handed out that were read again.", func(s events.Stats) int64 { return s.FromLog })
	return m
}

// strangersOf shows how many WebSockets have not begun.
func (m *metrics) strangersOf(count func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "clientele_websockets_strangers", Help: "Open WebSocket connections without connection_ack.",
	}, func() float64 { return float64(count()) }))
}

// The transports of subscriptions, as metrics name them.
const (
	overWebSocket   = "websocket"
	overEventStream = "event_stream"
)

// The states of multipart requests, as metrics name them.
const (
	uploadsHeld    = "held"
	uploadsWaiting = "waiting"
)

// hooks counts what a transport does.
func (m *metrics) hooks(over string) transport.Hooks {
	subscriptions := m.subscriptions.WithLabelValues(over)
	return transport.Hooks{
		Opened: m.sockets.Inc,
		Closed: func(code uint16) {
			m.sockets.Dec()
			m.closed.WithLabelValues(strconv.Itoa(int(code))).Inc()
		},
		Refused:            func(why transport.Refusal) { m.refused.WithLabelValues(string(why)).Inc() },
		SubscriptionOpened: subscriptions.Inc,
		SubscriptionClosed: subscriptions.Dec,
		EventPushed:        m.pushed.WithLabelValues(over).Inc,
		StreamOpened:       func(isShared bool) { m.streams.WithLabelValues(operationsOf(isShared)).Inc() },
		StreamClosed: func(isShared bool, code uint16) {
			m.streams.WithLabelValues(operationsOf(isShared)).Dec()
			m.streamsClosed.WithLabelValues(strconv.Itoa(int(code))).Inc()
		},
		Reserved:         m.reservations.Inc,
		ReservationEnded: m.reservations.Dec,
	}
}

func operationsOf(isShared bool) string {
	if isShared {
		return "many"
	}
	return "one"
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}
