import type { ConfigEntryKind } from './config-entry.ts';

/** One entry of each kind, as YAML for the reference; a test parses them. */
export const configEntryExamples: Readonly<Record<ConfigEntryKind, string>> = {
  'proxy-defaults': `
kind: proxy-defaults
name: global
mode: transparent
config:
  protocol: http
  local_connect_timeout_ms: 2000
access_logs:
  enabled: true
  type: stdout
`,
  'service-defaults': `
kind: service-defaults
name: api
protocol: http
max_inbound_connections: 500
local_request_timeout_ms: 5000
upstream_config:
  defaults:
    connect_timeout_ms: 1000
    passive_health_check:
      interval: 5s
      max_failures: 3
  overrides:
    - name: db
      protocol: tcp
      limits:
        max_connections: 20
`,
  'service-intentions': `
kind: service-intentions
name: api
sources:
  - name: web
    permissions:
      - action: deny
        http:
          path_prefix: /admin
      - action: allow
        http:
          path_prefix: /
          methods: [GET, POST]
  - name: "*"
    action: deny
`,
  'service-router': `
kind: service-router
name: api
routes:
  - match:
      http:
        path_prefix: /v2/
        header:
          - name: x-canary
            present: true
    destination:
      service: api-v2
      prefix_rewrite: /
      request_timeout: 5s
      num_retries: 3
      retry_on_connect_failure: true
      retry_on_status_codes: [503]
`,
  'service-splitter': `
kind: service-splitter
name: api
splits:
  - weight: 90
    service_subset: v1
  - weight: 10
    service_subset: v2
    request_headers:
      set:
        x-version: v2
`,
  'service-resolver': `
kind: service-resolver
name: api
default_subset: v1
subsets:
  v1:
    filter: Service.Meta.version == v1
  v2:
    filter: Service.Meta.version == v2
    only_passing: true
failover:
  "*":
    targets:
      - service: api-backup
connect_timeout: 3s
load_balancer:
  policy: ring_hash
  hash_policies:
    - field: header
      field_value: x-user
`,
  mesh: `
kind: mesh
transparent_proxy:
  mesh_destinations_only: true
tls:
  incoming:
    tls_min_version: TLSv1_3
http:
  incoming:
    request_normalization:
      merge_slashes: true
      path_with_escaped_slashes_action: REJECT_REQUEST
`,
  'jwt-provider': `
kind: jwt-provider
name: okta
issuer: https://issuer.example
audiences: [api]
json_web_key_set:
  remote:
    uri: https://issuer.example/.well-known/jwks.json
    cache_duration: 30m
    request_timeout_ms: 1500
locations:
  - header:
      name: authorization
      value_prefix: "Bearer "
forwarding:
  header_name: x-jwt-payload
`,
  'terminating-gateway': `
kind: terminating-gateway
name: egress
services:
  - name: payments
    ca_file: /etc/ssl/certs/ca-certificates.crt
    sni: payments.example.com
`,
  'ingress-gateway': `
kind: ingress-gateway
name: ingress
listeners:
  - port: 8080
    protocol: http
    services:
      - name: web
        hosts: [www.example.com]
`,
  'api-gateway': `
kind: api-gateway
name: gateway
listeners:
  - name: https
    port: 8443
    protocol: http
    hostname: www.example.com
    tls:
      certificates:
        - kind: inline-certificate
          name: www
`,
  'http-route': `
kind: http-route
name: shop
parents:
  - kind: api-gateway
    name: gateway
    section_name: https
hostnames: [www.example.com]
rules:
  - matches:
      - path:
          match: prefix
          value: /shop
    filters:
      url_rewrite:
        path: /
    services:
      - name: web
        weight: 100
`,
  'tcp-route': `
kind: tcp-route
name: database
parents:
  - kind: api-gateway
    name: gateway
    section_name: postgres
services:
  - name: db
`,
  'inline-certificate': `
kind: inline-certificate
name: www
certificate: |
  -----BEGIN CERTIFICATE-----
  …
  -----END CERTIFICATE-----
private_key: |
  -----BEGIN PRIVATE KEY-----
  …
  -----END PRIVATE KEY-----
`,
  'file-system-certificate': `
kind: file-system-certificate
name: www
certificate: /etc/gateway/www.pem
private_key: /etc/gateway/www-key.pem
`,
  'exported-services': `
kind: exported-services
name: default
services:
  - name: api
    consumers:
      - peer: cluster-b
`,
  'control-plane-request-limit': `
kind: control-plane-request-limit
name: limits
mode: permissive
read_rate: 100
write_rate: 100
kv:
  read_rate: 50
`,
  'sameness-group': `
kind: sameness-group
name: group
include_local: true
members:
  - peer: cluster-b
`,
};
