/* SPDX-License-Identifier: MIT */
#include "port/posix/proxy.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const variables[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",   "no_proxy",    "NO_PROXY"};
static struct posix_proxy proxy;
static char why[640];

static int choose(const char *url, const char *file)
{
    why[0] = 0;
    return posix_proxy_choose(&proxy, url, file, why, sizeof why);
}

static void clear_environment(void)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        (void)unsetenv(variables[i]);
    }
}

static bool credentials_are(const char *text)
{
    return proxy.credentials_len == strlen(text) && memcmp(proxy.credentials, text, strlen(text)) == 0;
}

static int urls(void)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
        const char *credentials;
    } cases[] = {
        {"http://p.example:3128", "p.example", 3128, ""},
        {"http://p.example:3128/", "p.example", 3128, ""},
        {"HTTP://p.example:3128", "p.example", 3128, ""},
        {"p.example:3128", "p.example", 3128, ""},
        {"http://[2001:db8::1]:8080", "2001:db8::1", 8080, ""},
        {"http://u:p@h:1", "h", 1, "u:p"},
        {"u:p@h:1", "h", 1, "u:p"},
        {"http://u@h:1", "h", 1, "u:"},
        {"http://:p@h:1", "h", 1, ":p"},
        {"http://@h:1", "h", 1, ""},
        {"http://u:a:b@h:1", "h", 1, "u:a:b"},
        {"http://CORP%5Cu:p%40ss%2Fw%25%3a%20@h:1", "h", 1, "CORP\\u:p@ss/w%: "},
        {"http://u:p@ss@h:1", "h", 1, "u:p@ss"},
        {"http://u:\xC3\xA4@h:1", "h", 1, "u:\xC3\xA4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int error = choose(cases[i].url, NULL);
        if (error != 0 || strcmp(proxy.host, cases[i].host) != 0) {
            printf("# %s: %s\n", cases[i].url, why);
        }
        CHECK(error == 0 && strcmp(proxy.host, cases[i].host) == 0 && proxy.port == cases[i].port);
        CHECK(credentials_are(cases[i].credentials) && strcmp(proxy.source, "--proxy") == 0);
    }
    CHECK(choose("none", NULL) == 0 && proxy.source == NULL);
    return 0;
}

/* Each with what the sentence must contain; and none contains a password. */
static int refused_urls(void)
{
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"http://host", "names no port"},
        {"host", "names no port"},
        {"http://[::1]", "names no port"},
        {"http://u:geheim@host", "names no port"},
        {"http://host:", "http://HOST:PORT"},
        {"http://host:0", "http://HOST:PORT"},
        {"http://host:65536", "http://HOST:PORT"},
        {"http://host:1/path", "http://HOST:PORT"},
        {"http://", "http://HOST:PORT"},
        {"http://::1:3128", "[IPV6]"},
        {"https://host:3128", "not supported"},
        {"socks5://u:geheim@host:3128", "not supported"},
        {"http://u:geheim%zz@host:1", "percent-encoded"},
        {"http://u:geheim%0@host:1", "percent-encoded"},
        {"http://u:geheim%00@host:1", "percent-encoded"},
        {"http://u:geheim%0d%0aX@host:1", "percent-encoded"},
        {"http://a%3Ab:geheim@host:1", "percent-encoded"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int error = choose(cases[i].url, NULL);
        if (error != BYTES_E_USAGE || strstr(why, cases[i].says) == NULL) {
            printf("# %s: %d, %s\n", cases[i].url, error, why);
        }
        CHECK(error == BYTES_E_USAGE && strstr(why, cases[i].says) != NULL && strstr(why, "geheim") == NULL);
        CHECK(strstr(why, "--proxy") != NULL);
    }
    char url[POSIX_PROXY_CREDENTIALS_MAX + 64];
    snprintf(url, sizeof url, "http://u:%0*d@host:1", POSIX_PROXY_CREDENTIALS_MAX - 2, 0);
    CHECK(choose(url, NULL) == 0 && proxy.credentials_len == POSIX_PROXY_CREDENTIALS_MAX);
    snprintf(url, sizeof url, "http://u:%0*d@host:1", POSIX_PROXY_CREDENTIALS_MAX - 1, 0);
    CHECK(choose(url, NULL) == BYTES_E_USAGE && strstr(why, "511 bytes") != NULL);
    return 0;
}

static int environment(void)
{
    clear_environment();
    CHECK(choose(NULL, NULL) == 0 && proxy.source == NULL && !posix_proxy_leads_to(&proxy, "x", 443));
    /* In ascending order: each wins over those before. */
    static const char *const order[] = {"ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        char url[32];
        snprintf(url, sizeof url, "http://h%zu:3128", i);
        (void)setenv(order[i], url, 1);
        CHECK(choose(NULL, NULL) == 0 && strcmp(proxy.source, order[i]) == 0);
        CHECK(strncmp(url + 7, proxy.host, 2) == 0 && posix_proxy_leads_to(&proxy, "x", 443));
    }
    (void)setenv("https_proxy", "", 1); /* empty counts as not set */
    CHECK(choose(NULL, NULL) == 0 && strcmp(proxy.source, "HTTPS_PROXY") == 0);
    /* The command line wins, over NO_PROXY as well. */
    (void)setenv("NO_PROXY", "*", 1);
    CHECK(choose(NULL, NULL) == 0 && !posix_proxy_leads_to(&proxy, "x", 443));
    CHECK(choose("http://mine:1", NULL) == 0 && strcmp(proxy.host, "mine") == 0);
    CHECK(posix_proxy_leads_to(&proxy, "x", 443));
    CHECK(choose("none", NULL) == 0 && !posix_proxy_leads_to(&proxy, "x", 443));
    /* A mistake is blamed on the variable; and its password does not stay there. */
    (void)setenv("all_proxy", "http://u:geheim@host:3128", 1);
    (void)setenv("HTTPS_PROXY", "http://u:geheim@host", 1);
    CHECK(choose(NULL, NULL) == BYTES_E_USAGE && strstr(why, "HTTPS_PROXY") != NULL);
    CHECK(strstr(why, "geheim") == NULL && strstr(getenv("HTTPS_PROXY"), "geheim") == NULL);
    CHECK(strstr(getenv("all_proxy"), "geheim") == NULL); /* nor in a variable that was not used */
    clear_environment();
    return 0;
}

/* Entries of NO_PROXY, and where the proxy then leads: with the meaning that curl gives them. */
static int exceptions(void)
{
    static const struct {
        const char *list, *host;
        uint16_t port;
        bool direct;
    } cases[] = {
        {"dps.example", "dps.example", 443, true},
        {"DPS.Example", "dps.exAMPLE", 443, true},
        {"dps.example.", "dps.example", 443, true},
        {"dps.example", "dps.example.", 443, true},
        {"example", "dps.example", 443, true},
        {".example", "dps.example", 443, true},
        {"*.example", "dps.example", 443, true},
        {"example", "dpsexample", 443, false},
        {"dps.example", "example", 443, false},
        {"a,b dps.example\t c", "dps.example", 443, true},
        {" , ,", "dps.example", 443, false},
        {".", "dps.example", 443, false},
        {"*", "dps.example", 443, true},
        {"x,*", "::1", 443, true},
        {"dps.example:443", "dps.example", 443, true},
        {"dps.example:8443", "dps.example", 443, false},
        {"dps.example:x", "dps.example", 443, false},
        {"127.0.0.1", "127.0.0.1", 443, true},
        {"127.0.0.1:8443", "127.0.0.1", 443, false},
        {"0.0.1", "127.0.0.1", 443, false},
        {"10.0.0.0/8", "10.255.0.1", 443, true},
        {"10.0.0.0/8", "11.0.0.1", 443, false},
        {"192.168.16.0/20", "192.168.31.255", 443, true},
        {"192.168.16.0/20", "192.168.32.0", 443, false},
        {"10.1.2.3/32", "10.1.2.3", 443, true},
        {"0.0.0.0/0", "10.1.2.3", 443, true},
        {"10.0.0.0/33", "10.0.0.0", 443, false},
        {"10.0.0.0/", "10.0.0.0", 443, false},
        {"::1", "::1", 443, true},
        {"[::1]", "::1", 443, true},
        {"[::1]:443", "0:0:0:0:0:0:0:1", 443, true},
        {"[::1]:444", "::1", 443, false},
        {"2001:db8::/33", "2001:db8:7fff::1", 443, true},
        {"2001:db8::/33", "2001:db8:8000::1", 443, false},
        {"::1", "127.0.0.1", 443, false},
    };
    clear_environment();
    (void)setenv("HTTPS_PROXY", "http://p:3128", 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)setenv(i % 2 == 0 ? "no_proxy" : "NO_PROXY", cases[i].list, 1);
        (void)unsetenv(i % 2 == 0 ? "NO_PROXY" : "no_proxy");
        CHECK_EQUAL(choose(NULL, NULL), 0);
        if (posix_proxy_leads_to(&proxy, cases[i].host, cases[i].port) == cases[i].direct) {
            printf("# NO_PROXY=%s, %s\n", cases[i].list, cases[i].host);
        }
        CHECK(posix_proxy_leads_to(&proxy, cases[i].host, cases[i].port) != cases[i].direct);
    }
    clear_environment();
    return 0;
}

static const char *secret(const char *content, mode_t mode)
{
    const char *path = support_path("proxy-auth");
    FILE *f = fopen(path, "w");
    if (f == NULL) {
        return path;
    }
    fputs(content, f);
    (void)fclose(f);
    (void)chmod(path, mode);
    return path;
}

static int file(void)
{
    clear_environment();
    CHECK(choose("http://h:1", secret("CORP\\u:p%40:s/s@\n", 0600)) == 0 &&
          credentials_are("CORP\\u:p%40:s/s@"));
    CHECK(choose("http://other:old@h:1", secret("u:p", 0600)) == 0 && credentials_are("u:p"));
    CHECK(choose("http://h:1", secret("u:p", 0644)) == BYTES_E_FILE && strstr(why, "chmod 600") != NULL);
    CHECK(choose("http://h:1", "/nowhere/file") == BYTES_E_NOT_FOUND && strstr(why, "What to do") != NULL);
    CHECK(choose("http://h:1", secret("geheim", 0600)) == BYTES_E_USAGE &&
          strstr(why, "USER:PASSWORD") != NULL);
    CHECK_EQUAL(strstr(why, "geheim"), NULL);
    CHECK(choose("http://h:1", secret("u:p\nu:q", 0600)) == BYTES_E_USAGE);
    CHECK(choose(NULL, secret("u:p", 0600)) == BYTES_E_USAGE && strstr(why, "--proxy http://") != NULL);
    (void)setenv("https_proxy", "http://h:1", 1);
    CHECK(choose(NULL, secret("u:p", 0600)) == 0 && credentials_are("u:p"));
    clear_environment();
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"URLs, with and without a name and password", urls},
        {"URLs that are refused, without a password in the sentence", refused_urls},
        {"the environment, and which variable wins", environment},
        {"NO_PROXY: names, addresses, prefixes, ports", exceptions},
        {"--proxy-auth-file", file},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
