/* A PKCS#11 module before the real one, which fails as the files in FAULTS say:

     hangs      no operation comes back while the file is there
     removed    every operation finds the token gone
     restarted  every session of before is unknown; the file is taken away
     hiccups    one operation fails; the file is taken away
     crashes    the process dies in the next operation
     forgetful  associated data are left out

   Each login is a line in the file `logins`. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long word;
typedef word (*function)(word, void *, word, void *, void *);
/* CK_FUNCTION_LIST: a version, then pointers in the order of the standard. */
enum { OPEN_SESSION = 13, LOGIN = 19, FIND_INIT = 27, ENCRYPT_INIT = 30, DECRYPT_INIT = 34, COUNT = 69 };
enum { OK = 0, DEVICE_ERROR = 0x30, DEVICE_REMOVED = 0x32, SESSION_HANDLE_INVALID = 0xB3, AES_GCM = 0x1087 };
struct gcm { void *iv; word iv_length, iv_bits; void *aad; word aad_length, tag_bits; };
struct mechanism { word kind; struct gcm *gcm; word length; };

static void *real[COUNT], *ours[COUNT];

static const char *path(const char *name) {
    static char text[4096];
    snprintf(text, sizeof text, "%s/%s", getenv("FAULTS"), name);
    return text;
}

static int is(const char *name) { return access(path(name), F_OK) == 0; }

static int forgotten;

static word fault(void) {
    while (is("hangs")) usleep(20000);
    if (is("crashes")) abort();
    if (is("removed")) return DEVICE_REMOVED;
    if (is("hiccups")) {
        unlink(path("hiccups"));
        return DEVICE_ERROR;
    }
    if (is("restarted")) {
        unlink(path("restarted"));
        forgotten = 1;
    }
    return forgotten ? SESSION_HANDLE_INVALID : OK;
}

#define CALL(number, a, b, c, d, e) ((function)real[number])(a, b, c, d, e)

static word open_session(word slot, void *b, word c, void *d, void *e) {
    word failed = fault();
    return failed ? failed : CALL(OPEN_SESSION, slot, b, c, d, e);
}

static word login(word session, void *b, word c, void *d, void *e) {
    FILE *file = fopen(path("logins"), "a");
    if (file) fputs("login\n", file), fclose(file);
    return CALL(LOGIN, session, b, c, d, e);
}

static word find_init(word session, void *b, word c, void *d, void *e) {
    word failed = fault();
    return failed ? failed : CALL(FIND_INIT, session, b, c, d, e);
}

static word start(int number, word session, void *mechanism, word key) {
    struct mechanism *given = mechanism;
    struct gcm gcm;
    struct mechanism changed = *given;
    word failed = fault();
    if (failed) return failed;
    if (given->kind == AES_GCM && is("forgetful")) {
        gcm = *given->gcm;
        gcm.aad_length = 0;
        changed.gcm = &gcm;
        given = &changed;
    }
    return CALL(number, session, given, key, 0, 0);
}

static word encrypt_init(word session, void *mechanism, word key, void *d, void *e) {
    return start(ENCRYPT_INIT, session, mechanism, key);
}

static word decrypt_init(word session, void *mechanism, word key, void *d, void *e) {
    return start(DECRYPT_INIT, session, mechanism, key);
}

word C_GetFunctionList(void **list) {
    void **found;
    word (*get)(void **);
    void *module = dlopen(getenv("REAL_MODULE"), RTLD_NOW);
    if (!module) return 5;
    *(void **)&get = dlsym(module, "C_GetFunctionList");
    if (!get || get((void **)&found)) return 5;
    memcpy(real, found, sizeof real);
    memcpy(ours, found, sizeof ours);
    ours[OPEN_SESSION] = open_session;
    ours[LOGIN] = login;
    ours[FIND_INIT] = find_init;
    ours[ENCRYPT_INIT] = encrypt_init;
    ours[DECRYPT_INIT] = decrypt_init;
    *list = ours;
    return OK;
}
