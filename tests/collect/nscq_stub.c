/* libnvidia-nscq.so.2 for tests: switches answering from switchI.report and switchI.pem in $STUB_DIR. A file
 * nscq.error holds the return code of the session; switchI.error that of its attestation report.
 * Layouts: NVIDIA NSCQ 2.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { uint8_t bytes[16]; } uuid_t;
typedef struct { char data[64]; } label_t;
typedef struct { int8_t rc; void *session; } result_t;
typedef struct { uint32_t size; uint8_t data[0x2000]; } report_t;
typedef struct { uint8_t data[0x1400]; uint32_t size; } certificate_t;
typedef void (*on_uuid)(const uuid_t *, int8_t, const uuid_t *, void *);
typedef void (*on_report)(const uuid_t *, int8_t, report_t, void *);
typedef void (*on_certificate)(const uuid_t *, int8_t, certificate_t, void *);

static int session;

static int load(const char *name, void *data, size_t most) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("STUB_DIR"), name);
    FILE *file = fopen(path, "rb");
    if (!file) return -1;
    size_t size = fread(data, 1, most, file);
    fclose(file);
    return (int)size;
}

result_t nscq_session_create(uint32_t flags) {
    char text[16] = {0};
    result_t result = {flags == 1 ? 0 : -128, &session};
    if (load("nscq.error", text, sizeof text - 1) >= 0) result.rc = atoi(text);
    return result;
}

void nscq_session_destroy(void *given) {}

int8_t nscq_session_set_input(void *given, uint32_t id, void *data, uint32_t size) {
    char path[4096];
    if (given != &session || id != 0 || size != 32) return -5;
    snprintf(path, sizeof path, "%s/switch.nonce", getenv("STUB_DIR"));
    FILE *file = fopen(path, "wb");
    if (!file) return -128;
    fwrite(data, 1, size, file);
    fclose(file);
    return 0;
}

int8_t nscq_uuid_to_label(const uuid_t *uuid, label_t *label, uint32_t flags) {
    snprintf(label->data, sizeof label->data, "SWX-%d", uuid->bytes[0]);
    return 0;
}

int8_t nscq_session_path_observe(void *given, const char *path, void (*callback)(void), void *data, uint32_t flags) {
    char name[64], rest[64], text[16] = {0};
    int index, size;
    if (given != &session) return -5;
    if (!strcmp(path, "/drv/nvswitch/{device}/uuid")) {
        for (index = 0; index < 16; index++) {
            uuid_t uuid = {{(uint8_t)index}};
            report_t report;
            snprintf(name, sizeof name, "switch%d.report", index);
            if (load(name, report.data, sizeof report.data) >= 0) ((on_uuid)callback)(&uuid, 0, &uuid, data);
        }
        return 0;
    }
    if (sscanf(path, "/SWX-%d/config/%63s", &index, rest) != 2) return -2;
    uuid_t uuid = {{(uint8_t)index}};
    if (!strcmp(rest, "certificate")) {
        certificate_t certificate;
        snprintf(name, sizeof name, "switch%d.pem", index);
        size = load(name, certificate.data, sizeof certificate.data);
        certificate.size = size;
        ((on_certificate)callback)(&uuid, size < 0 ? -7 : 0, certificate, data);
        return 0;
    }
    if (!strcmp(rest, "attestation_report")) {
        report_t report;
        snprintf(name, sizeof name, "switch%d.report", index);
        size = load(name, report.data, sizeof report.data);
        report.size = size;
        snprintf(name, sizeof name, "switch%d.error", index);
        int code = load(name, text, sizeof text - 1) < 0 ? 0 : atoi(text);
        ((on_report)callback)(&uuid, code, report, data);
        return 0;
    }
    return -2;
}
