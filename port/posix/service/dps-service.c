/* SPDX-License-Identifier: MIT */
/* dps-service: the provisioning service as a program. Its start is here, its options are in options.c, the event
 * loop in server.c, the decisions in dps/service/service.c. */
#include "dps/protocol/text.h"
#include "port/posix/options.h"
#include "port/posix/service/files.h"
#include "port/posix/service/log.h"
#include "port/posix/service/options.h"
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* All that the processes of this program have in common. */
struct start {
    struct server_options options;
    struct server_listener listeners[SERVER_LISTENERS];
    struct server_shared *shared;
    struct server_log out, log; /* standard output and error */
    struct server_made made;
    bool made_store, ready;
};

static void say_ready(struct start *start)
{
    uint8_t text[1024];
    char address[NI_MAXHOST + 32];
    struct bytes_writer w = bytes_writer_over(text, sizeof text - 1);
    static const char *const kinds[SERVER_LISTENERS] = {"TLS", "plain HTTP", "metrics", "MQTT", "AMQP"};
    const struct server_config *c = &start->options.config;
    const char *const addresses[SERVER_LISTENERS] = {c->listen, c->proxy_listen, c->metrics, c->hub_mqtt,
                                                     c->amqp};
    const char *before = "listening on ";
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        if (addresses[i] == NULL) {
            continue;
        }
        /* Not the port that was asked for, which may be 0, but the actual one. */
        int host_len = (int)(strrchr(addresses[i], ':') - addresses[i]);
        snprintf(address, sizeof address, "%s%.*s:%u (%s)", before, host_len, addresses[i],
                 (unsigned)start->listeners[i].port, kinds[i]);
        dps_write_text(&w, address);
        before = " and ";
    }
    dps_write_text(&w, ", scope ");
    dps_write_text(&w, c->service.id_scope);
    dps_write_text(&w, ", host ");
    dps_write_text(&w, c->service.host);
    dps_write_text(&w, ", ");
    dps_write_decimal(&w, c->service.hub_count);
    dps_write_text(&w, c->service.hub_count == 1 ? " hub, store " : " hubs, store ");
    server_store_write_name(&w, c->store);
    if (start->options.workers > 1) {
        dps_write_text(&w, ", ");
        dps_write_decimal(&w, start->options.workers);
        dps_write_text(&w, " workers");
    }
    text[bytes_written(&w).len] = 0;
    server_log_sentence(&start->out, "info", (const char *)text);
}

/* Plain HTTP that others can reach shows them challenges, tokens and what is managed: it is allowed, because a
 * proxy may well be on another machine, but not silently. */
static void warn_about_proxy(struct start *start)
{
    const char *address = start->options.config.proxy_listen;
    char text[400];
    if (address == NULL || strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]:", 6) == 0 ||
        strncmp(address, "localhost:", 10) == 0) {
        return;
    }
    snprintf(text, sizeof text,
             "warning: --proxy-listen %.200s is plain HTTP and not a loopback address; make sure that only "
             "the proxy "
             "can reach it",
             address);
    server_log_sentence(&start->log, "warn", text);
}

static void say_made(struct start *start)
{
    char text[PATH_MAX + 120];
    snprintf(text, sizeof text, "made %s with the policy provisioningserviceowner and a new key",
             start->options.config.policy_file);
    if (start->made.policies) {
        server_log_sentence(&start->out, "info", text);
    }
    snprintf(text, sizeof text,
             "made %s with a new service secret; devices must register again if it is lost",
             start->options.config.secret_file);
    if (start->made.secrets) {
        server_log_sentence(&start->out, "info", text);
    }
}

static int write_port_file(const struct start *start, const char *path)
{
    uint8_t text[32];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        if (start->listeners[i].fd < 0) {
            continue;
        }
        dps_write_decimal(&w, start->listeners[i].port);
        dps_write_text(&w, "\n");
    }
    return posix_file_replace(path, bytes_written(&w), 0644);
}

static int exit_code(int error)
{
    switch (error) {
    case 0:
        return POSIX_EXIT_OK;
    case BYTES_E_USAGE:
        return POSIX_EXIT_USAGE;
    case BYTES_E_TLS:
    case BYTES_E_STREAM:
        return POSIX_EXIT_NETWORK;
    default:
        return POSIX_EXIT_STORE;
    }
}

static int be_ready(void *context)
{
    struct start *start = context;
    const char *path = start->options.port_file;
    char why[PATH_MAX + 40];
    say_ready(start);
    if (path != NULL && write_port_file(start, path) != 0) {
        char reason[POSIX_FILE_ERROR_MAX];
        snprintf(why, sizeof why, "%s cannot be written: %s", path,
                 posix_file_error(errno, reason, sizeof reason));
        server_log_sentence(&start->log, "error", why);
        return POSIX_EXIT_STORE;
    }
    start->ready = true;
    return POSIX_EXIT_OK;
}

static void read_again(void *context)
{
    struct start *start = context;
    server_files_reload(start->shared, &start->options.config, &start->log);
}

/* The watching process keeps the sockets open for workers that it may have to restart. When that is over it closes
 * them, so that clients are refused instead of waiting in a queue that nobody serves. */
static void be_ending(void *context)
{
    struct start *start = context;
    server_listen_close(start->listeners);
}

/* What a process does once its store is open. Returns: its exit code. */
static int serve_from(struct start *start, size_t worker, const struct dps_store *store)
{
    static struct server server;
    char why[512] = "";
    int code = POSIX_EXIT_OK;
    int error = server_open(&server, &start->options.config, start->listeners, start->shared, worker, store,
                            why, sizeof why);
    if (error == 0) {
        server_worker_ready(start->shared, worker);
        if (start->options.workers == 1) {
            code = be_ready(start);
        }
        server_listen_close(start->listeners); /* the server has its own */
        error = code == POSIX_EXIT_OK ? server_run(&server) : 0;
        snprintf(why, sizeof why, "the event loop failed");
        server_close(&server);
    }
    if (error != 0) {
        server_log_sentence(&start->log, "error", why);
    }
    return error != 0 ? exit_code(error) : code;
}

/* One process of them, or the only one. */
static int serve(void *context, size_t worker)
{
    static struct server_store store;
    struct start *start = context;
    char why[512] = "";
    const int error = server_store_open(&store, start->options.config.store, why, sizeof why);
    if (error != 0) {
        server_log_sentence(&start->log, "error", why);
        return exit_code(error);
    }
    const int code = serve_from(start, worker, &store.interface);
    server_store_close(&store);
    return code;
}

/* Check everything that can be checked before making anything. */
static int start_service(struct start *start, char *why, size_t why_size)
{
    int error = server_listen(start->listeners, &start->options.config, why, why_size);
    if (error != 0) {
        return error;
    }
    warn_about_proxy(start);
    start->shared = server_shared_open(start->options.workers);
    if (start->shared == NULL) {
        snprintf(why, why_size, "there is no memory to share: %s", strerror(errno));
        return BYTES_E_FILE;
    }
    start->made_store = !server_store_exists(start->options.config.store);
    error = server_files_open(start->shared, &start->options.config, &start->made, why, why_size);
    if (error == 0) {
        say_made(start);
    }
    return error;
}

/* A failed start removes everything that it made. */
static void end_start(struct start *start, int code)
{
    if (code != POSIX_EXIT_OK && !start->ready) {
        server_made_remove(&start->options.config, &start->made);
        if (start->made_store) {
            server_store_remove(start->options.config.store);
        }
    }
    server_listen_close(start->listeners);
    server_shared_close(start->shared);
    server_log_close(&start->out);
    server_log_close(&start->log);
}

static int run(struct start *start)
{
    const size_t workers = start->options.workers;
    const struct server_work work = {start, serve, be_ready, read_again, be_ending, &start->log};
    return workers == 1 ? serve(start, 0) : server_workers_run(start->shared, workers, &work);
}

int main(int argc, char **argv)
{
    static struct start start = {.out = {.fd = STDOUT_FILENO}, .log = {.fd = STDERR_FILENO}};
    char why[512] = "";
    posix_keep_memory_private();
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        start.listeners[i].fd = -1;
    }
    int error = server_options_read(argc, argv, &start.options, why, sizeof why);
    start.out.json = start.log.json = start.options.log_json;
    if (error == 0 && (start.options.help || start.options.version)) {
        if (start.options.version) {
            options_version("dps-service");
        } else {
            server_options_help();
        }
        return options_printed("dps-service", POSIX_EXIT_OK);
    }
    if (error == 0) {
        error = start_service(&start, why, sizeof why);
    }
    if (error != 0) {
        server_log_sentence(&start.log, "error", why);
    }
    const int code = error != 0 ? exit_code(error) : run(&start);
    end_start(&start, code);
    return code;
}
