/** Every metric of ours: docs/metrics.md is made from this table. */

export interface MetricFacts {
  readonly type: 'gauge' | 'counter' | 'histogram'
  /** Read from the status at each scrape, or counted from events. */
  readonly from: 'status' | 'events'
  readonly labels: readonly string[]
  readonly help: string
}

export const TUNNEL_STATES = ['up', 'degraded', 'connecting', 'waiting', 'idle', 'closing'] as const

export const METRICS = {
  isthmus_info: gauge('Constant 1, with the site, the kind of engine and its build.', 'site', 'engine', 'build'),
  isthmus_start_time_seconds: gauge('Start of the connector, in seconds since 1970.'),
  isthmus_tun_up: gauge('1 while the TUN device works.'),
  isthmus_tunnel_up: gauge('1 while the IKE SA and every configured child of the peer stand.', 'peer'),
  isthmus_tunnel_state: gauge('1 for the state that the tunnel is in, 0 for the others.', 'peer', 'state'),
  isthmus_tunnel_packets_total: counter('Inner packets through the tunnel.', 'peer', 'direction'),
  isthmus_tunnel_bytes_total: counter('Bytes of inner packets through the tunnel.', 'peer', 'direction'),
  isthmus_tunnel_missing_packets: gauge(
    'Packets of the peer since the start that newer ones have passed and that never came, by the gaps in ESP sequence numbers. A gauge, because it falls when late ones come: watch it with delta(). Absent without a replay window.',
    'peer',
  ),
  isthmus_tunnel_dropped_packets_total: counter(
    'Packets of the tunnel that were dropped, by reason.',
    'peer',
    'reason',
  ),
  isthmus_dropped_packets_total: counter('Packets dropped in all, by reason.', 'reason'),
  isthmus_tunnel_rtt_seconds: gauge('Median round trip to the peer; absent until measured.', 'peer'),
  isthmus_tunnel_loss_ratio: gauge('Share of IKE requests that needed sending again, 0 to 1.', 'peer'),
  isthmus_tunnel_mtu_bytes: gauge('MTU of the path and, inside the tunnel, of inner packets.', 'peer', 'kind'),
  isthmus_ike_sa_age_seconds: gauge('Age of the IKE SA.', 'peer'),
  isthmus_child_sas: gauge('Child SAs that stand, also those that a rekey is about to replace.', 'peer'),
  isthmus_child_sa_age_seconds: gauge(
    'Age of the Child SA that traffic leaves on, on each packet worker that has one.',
    'peer',
    'child',
    'worker',
  ),
  isthmus_child_sa_rekey_in_seconds: gauge('Time until that Child SA is rekeyed.', 'peer', 'child', 'worker'),
  isthmus_worker_packets_total: counter(
    'Inner packets through the Child SAs of a packet worker.',
    'worker',
    'direction',
  ),
  isthmus_worker_bytes_total: counter('Bytes of those packets.', 'worker', 'direction'),
  isthmus_worker_handed_over_packets_total: counter(
    'Packets that a packet worker gave to the one that has the Child SA for them.',
    'worker',
  ),
  isthmus_worker_busy_ratio: gauge(
    'Share of the last second that the worker was on a processor, 0 to 1; near 1 it is the bottleneck. Absent where Node.js cannot tell (before 23.9).',
    'worker',
  ),
  isthmus_function_sessions: gauge('Sessions of functions that stand, by the way they came.', 'via'),
  isthmus_function_half_open: gauge('Connections of which it is not known yet who they are, or whether they live.'),
  isthmus_function_relay_sockets: gauge('Sockets that wait at the relay of the control plane.'),
  isthmus_function_handshakes_total: counter('Handshakes of functions, by result.', 'result'),
  isthmus_function_streams: gauge('Streams of functions that are open.', 'service'),
  isthmus_function_streams_total: counter(
    'Streams of functions that are over, by outcome: ok, reset by the function, or the code of a problem.',
    'service',
    'outcome',
  ),
  isthmus_function_bytes_total: counter('Bytes from functions (in) and to them (out).', 'service', 'direction'),
  isthmus_function_warm_connections: gauge('Connections to a service that stand ready, unused.', 'service'),
  isthmus_function_held_bytes: gauge('Bytes that wait here for a service or a function to take them.'),
  isthmus_function_shed_total: counter('What was refused or ended for want of room, by reason.', 'reason'),
  isthmus_bgp_up: gauge('1 while the session with the BGP neighbour is established.', 'neighbour'),
  isthmus_bgp_state_seconds: gauge('How long the session has been in its state.', 'neighbour'),
  isthmus_bgp_flaps_total: counter('Times that an established session was lost.', 'neighbour'),
  isthmus_bgp_prefixes: gauge(
    'Prefixes of the neighbour: received, of these accepted, of these stale; and advertised to it.',
    'neighbour',
    'family',
    'kind',
  ),
  isthmus_bgp_routes: gauge('Prefixes with a route in use, our own among them.', 'family'),
  isthmus_bgp_pending_routes: gauge('Changes of routes that engines and kernel have not taken yet.'),
  isthmus_bgp_route_changes_total: counter(
    'Prefixes that got another way by BGP, or lost theirs: rate() gives changes a second.',
  ),
  isthmus_bfd_up: gauge('1 while BFD with the neighbour is up; absent where there is none.', 'neighbour'),
  isthmus_bfd_flaps_total: counter('Times that BFD lost the neighbour.', 'neighbour'),
  isthmus_path_passing: gauge(
    '1 while the tunnel is used as it comes; 0 while it is passed over where there is another.',
    'peer',
  ),
  isthmus_path_drained: gauge('1 while the tunnel is drained, or about to be.', 'peer'),
  isthmus_path_rtt_seconds: gauge('Smoothed round trip of probes; absent until measured.', 'peer'),
  isthmus_path_jitter_seconds: gauge('Mean deviation of that round trip.', 'peer'),
  isthmus_path_loss_ratio: gauge(
    'Share of the last probes that were lost on the way out or in, 0 to 1; where only answers are counted, out is both.',
    'peer',
    'direction',
  ),
  isthmus_path_mtu_bytes: gauge('Largest outer packet that passes, as probes have found.', 'peer'),
  isthmus_path_failovers_total: counter('Times that traffic left the tunnel because its path failed.', 'peer', 'cause'),
  isthmus_path_last_failover_seconds: gauge('How long the last of them took, from the last sign of life.', 'peer'),
  isthmus_path_last_failover_lost_packets: gauge('Packets lost in it, about.', 'peer'),
  isthmus_path_asymmetric_packets_total: counter(
    'Packets that came by the tunnel though what answers them leaves by another.',
    'peer',
  ),
  isthmus_class_tunnel: gauge('1 for the tunnel that the class prefers now, 0 for its others.', 'class', 'peer'),
  isthmus_class_moves_total: counter('Times that the class moved to another tunnel.', 'class'),
  isthmus_ike_datagrams_total: counter('IKE datagrams that came to nothing or were sent again, by reason.', 'reason'),
  isthmus_ike_sas_established_total: counted('IKE SAs established anew, rekeys not counted.', 'peer'),
  isthmus_ike_sa_rekeys_total: counted('IKE SAs rekeyed.', 'peer'),
  isthmus_child_sa_rekeys_total: counted('Child SAs rekeyed.', 'peer', 'child'),
  isthmus_tunnel_failures_total: counted('Failures to establish or keep a tunnel, by code.', 'peer', 'code'),
  isthmus_peer_moves_total: counted('Times that a peer came from a new address or port.', 'peer'),
  isthmus_bgp_events_total: counted('News of a BGP neighbour, as the log tells them.', 'neighbour', 'code'),
  isthmus_path_events_total: counted('News of paths, as the log tells them.', 'code'),
  isthmus_warnings_total: counted('Warnings in the log that concern no peer.'),
  isthmus_tunnel_establish_seconds: {
    type: 'histogram',
    from: 'events',
    labels: ['peer'],
    help: 'Time from the first message of an IKE SA that we initiate to its end of authentication.',
  },
} as const satisfies Record<string, MetricFacts>

export type MetricName = keyof typeof METRICS

function gauge(help: string, ...labels: string[]): MetricFacts {
  return { type: 'gauge', from: 'status', labels, help }
}

function counter(help: string, ...labels: string[]): MetricFacts {
  return { type: 'counter', from: 'status', labels, help }
}

function counted(help: string, ...labels: string[]): MetricFacts {
  return { type: 'counter', from: 'events', labels, help }
}
