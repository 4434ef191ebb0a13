/** What to write into the system that reports, so that its messages come to a hook and are taken. The secret's place is marked. */
import type { HookFormat } from "#/api/schema";

const TOKEN = "cb_hook_…";

const recipes: Record<HookFormat, (url: string) => string> = {
  generic: (url) => `# with curl: --cacert circuit-breaker-ca.crt
POST ${url}
Content-Type: application/json
webhook-id: …
webhook-timestamp: …
webhook-signature: v1,…

{"title": "Backup failed", "severity": "warning"}`,
  alertmanager: (url) => `receivers:
  - name: circuit-breaker
    webhook_configs:
      - url: ${url}
        http_config:
          authorization: { type: Bearer, credentials: ${TOKEN} }
          tls_config: { ca_file: circuit-breaker-ca.crt }
# Grafana: Webhook, HTTP method POST, Authorization Header Bearer with ${TOKEN},
# TLS configuration, CA Certificate: the text of circuit-breaker-ca.crt`,
  uptime_kuma: (url) => `Post URL: ${url}
Request Body: Preset - application/json
Additional Headers: {"Authorization": "Bearer ${TOKEN}"}
Environment of Uptime Kuma: NODE_EXTRA_CA_CERTS=/certs/circuit-breaker-ca.crt`,
  proxmox: (url) => `On each node, with ca.crt of this server:
  cp ca.crt /usr/local/share/ca-certificates/circuit-breaker-ca.crt
  update-ca-certificates
Method/URL: POST ${url}
Headers:
  Content-Type: application/json
  Authorization: Bearer {{ secrets.token }}
Body:
{
  "title": "{{ escape title }}",
  "message": "{{ escape message }}",
  "severity": "{{ severity }}",
  "timestamp": {{ timestamp }},
  "fields": {{ json fields }}
}
Secrets: token = ${TOKEN}`,
};

export const recipeOf = (format: HookFormat, url: string) => recipes[format](url);
