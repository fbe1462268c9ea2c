/* SPDX-License-Identifier: MIT */
/* For mosquitto: who may connect, a program that listens on a Unix socket says. It gets client identifier, user name
 * and password, each with a line end, and answers "1" for yes. */
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* MOSQ_ERR_SUCCESS and MOSQ_ERR_AUTH, whose header is in another package. */
enum { YES = 0, NO = 11 };

static struct sockaddr_un place = {.sun_family = AF_UNIX};
static mosquitto_plugin_id_t *plugin;

static bool asked(int fd, const struct mosquitto_evt_basic_auth *login)
{
    char text[2048];
    char answer = 0;
    const int len = snprintf(text, sizeof text, "%s\n%s\n%s\n", mosquitto_client_id(login->client),
                             login->username, login->password);
    return len > 0 && (size_t)len < sizeof text && write(fd, text, (size_t)len) == len &&
           read(fd, &answer, 1) == 1 && answer == '1';
}

static int check(int event, void *data, void *context)
{
    const struct mosquitto_evt_basic_auth *login = data;
    (void)event, (void)context;
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const bool known = login->username != NULL && login->password != NULL && fd >= 0 &&
                       connect(fd, (const struct sockaddr *)&place, sizeof place) == 0 && asked(fd, login);
    if (fd >= 0) {
        (void)close(fd);
    }
    return known ? YES : NO;
}

int mosquitto_plugin_version(int count, const int *versions)
{
    for (int i = 0; i < count; i++) {
        if (versions[i] == MOSQ_PLUGIN_VERSION) {
            return versions[i];
        }
    }
    return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **context, struct mosquitto_opt *options, int count)
{
    (void)context;
    for (int i = 0; i < count; i++) {
        if (strcmp(options[i].key, "socket") == 0) {
            (void)snprintf(place.sun_path, sizeof place.sun_path, "%s", options[i].value);
        }
    }
    plugin = id;
    return mosquitto_callback_register(id, MOSQ_EVT_BASIC_AUTH, check, NULL, NULL);
}

int mosquitto_plugin_cleanup(void *context, struct mosquitto_opt *options, int count)
{
    (void)context, (void)options, (void)count;
    return mosquitto_callback_unregister(plugin, MOSQ_EVT_BASIC_AUTH, check, NULL);
}
