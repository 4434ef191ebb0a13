/** What to write into the system that reports, so that its messages come to a hook and are taken. The secret's place is marked. */
import type { HookFormat } from "#/api/schema";

const TOKEN = "cb_hook_…";

const recipes: Record<HookFormat, (url: string) => string> = {
  generic: (url) => `POST ${url}
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
          tls_config: { ca_file: circuit-breaker-ca.crt }`,
  uptime_kuma: (url) => `Post URL: ${url}
Request Body: Preset - application/json
Additional Headers: {"Authorization": "Bearer ${TOKEN}"}`,
  proxmox: (url) => `Method/URL: POST ${url}
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
