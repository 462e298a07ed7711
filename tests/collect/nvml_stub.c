/* libnvidia-ml.so.1 for tests: the functions that attestation uses, answering from files in $STUB_DIR.
 *
 * state: "ccFeature multiGpuMode count", or "error N" for what the state query says. gpuI.report, gpuI.pem: what
 * GPU I answers. gpuI.error: the number it answers instead. gpuI.nonce: written with what it was asked.
 * Layouts: NVIDIA Management Library API reference, confidential computing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { unsigned cert_chain_size, attestation_chain_size; unsigned char cert_chain[0x1000], attestation_chain[0x1400]; } certificate_t;
typedef struct { unsigned cec_present, report_size, cec_size; unsigned char nonce[32], report[0x2000], cec[0x1000]; } report_t;
typedef struct { unsigned environment, cc_feature, dev_tools; } state_t;
typedef struct { unsigned version, environment, cc_feature, dev_tools, multi_gpu; } settings_t;

_Static_assert(sizeof(certificate_t) == 8 + 0x2400, "certificate");
_Static_assert(sizeof(report_t) == 12332, "report");
_Static_assert(sizeof(settings_t) == 20, "settings");

static int handles[16];

static int load(const char *name, void *data, size_t most) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("STUB_DIR"), name);
    FILE *file = fopen(path, "rb");
    if (!file) return -1;
    size_t size = fread(data, 1, most, file);
    fclose(file);
    return (int)size;
}

static int state(int *cc, int *multi, int *count) {
    char text[64] = {0};
    int error;
    if (load("state", text, sizeof text - 1) < 0) return 9;
    if (sscanf(text, "error %d", &error) == 1) return error;
    return sscanf(text, "%d %d %d", cc, multi, count) == 3 ? 0 : 999;
}

static int refusal(long index) {
    char name[32], text[16] = {0};
    snprintf(name, sizeof name, "gpu%ld.error", index);
    if (load(name, text, sizeof text - 1) < 0) return 0;
    if (atoi(text) == 10) sleep(600);
    return atoi(text);
}

int nvmlInitWithFlags(unsigned flags) { int a, b, c, e = state(&a, &b, &c); return e == 9 ? 9 : 0; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int error) { return "an error of the stub"; }
int nvmlDeviceGetCount_v2(unsigned *count) { int a, b, c, e = state(&a, &b, &c); if (!e) *count = c; return e; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = &handles[index]; return 0; }

int nvmlSystemGetConfComputeState(state_t *out) {
    int cc, multi, count, e = state(&cc, &multi, &count);
    if (!e) { memset(out, 0, sizeof *out); out->cc_feature = cc; }
    return e;
}

#ifndef OLD
int nvmlSystemGetConfComputeSettings(settings_t *out) {
    int cc, multi, count, e = state(&cc, &multi, &count);
    if (out->version != (sizeof *out | 1 << 24)) return 25;
    if (!e) { out->cc_feature = cc; out->multi_gpu = multi; }
    return e;
}
#endif

int nvmlDeviceGetConfComputeGpuCertificate(void *device, certificate_t *out) {
    char name[32];
    long index = (int *)device - handles;
    int e = refusal(index);
    if (e) return e;
    snprintf(name, sizeof name, "gpu%ld.pem", index);
    memset(out, 'x', sizeof *out);
    out->cert_chain_size = 7;
    int size = load(name, out->attestation_chain, sizeof out->attestation_chain);
    if (size < 0) return 999;
    out->attestation_chain_size = size;
    return 0;
}

int nvmlDeviceGetConfComputeGpuAttestationReport(void *device, report_t *io) {
    char name[32], path[4096];
    long index = (int *)device - handles;
    snprintf(path, sizeof path, "%s/gpu%ld.nonce", getenv("STUB_DIR"), index);
    FILE *file = fopen(path, "wb");
    if (!file) return 999;
    fwrite(io->nonce, 1, sizeof io->nonce, file);
    fclose(file);
    snprintf(name, sizeof name, "gpu%ld.report", index);
    memset(io->report, 'x', sizeof io->report);
    int size = load(name, io->report, sizeof io->report);
    if (size < 0) return 999;
    io->report_size = size;
    return 0;
}
