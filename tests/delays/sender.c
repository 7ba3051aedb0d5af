/* Sends what a script says, when it says: the server of known delays where its own lateness must be least (tests/delays/exact.py).

   sender SCRIPT [SPIN_NS]: serves on loopback, its first line says where. It knows no more than HTTP's framing: every byte of an answer and
   every delay is the script's, which Python makes (script.py, which has its form too). One thread waits in epoll for sockets and for a timerfd
   that rings at the next moment of the monotonic clock; SPIN_NS before it, it waits no more, but looks. It runs before all else, and is never
   swapped out, where the system lets it. GET /record says what was sent, in the lines of record.py; DELETE /record says so too, and forgets. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FILES = 65536, MOST_EVENTS = 256, LONGEST_ID = 64, PRIORITY = 10, ID = '`' };

typedef struct { const char *at; size_t length; } Bytes;

/* The script: per request `parts` chunks of one token each, and their delays. An ID byte stands for the request's id. */
static struct {
    uint32_t parts, requests;
    Bytes path, model, listing, refusal, head;
    Bytes *part, *ending[2]; /* ending[whether usage is asked for][tokens - 1] */
    const int64_t *delay_ns; /* [request][part], since the request's first byte */
} script;

typedef struct Connection Connection;

typedef struct {
    char id[LONGEST_ID + 1];
    uint32_t number, tokens, sent;
    bool usage, blocked;
    int64_t received_ns, ended_ns, *due_ns, *sent_ns;
    Connection *to;  /* NULL: nobody waits any more */
    char *next;      /* the next chunk, made before its time */
    size_t next_length;
} Answer;

struct Connection {
    int file;
    int64_t first_ns; /* of the request that comes in */
    char *in, *out;
    size_t in_length, in_room, out_from, out_length, out_room;
    Answer *answer;
};

static Connection *connections[MOST_FILES];
static Answer *answers, **heap; /* heap: those under way, the next due first */
static uint32_t count, waiting;
static int64_t *moments;
static char *chunks;
static size_t longest;
static int poller, timer, listener;

static void fail(const char *what) { perror(what); exit(1); }

static int64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void *room(size_t bytes) {
    void *found = calloc(1, bytes);
    return found ? found : (fail("calloc"), NULL);
}

/* --- the script ------------------------------------------------------------------------------------------------------------------ */

static Bytes taken(const char **at) {
    uint32_t length;
    memcpy(&length, *at, sizeof length);
    Bytes told = {*at + sizeof length, length};
    *at += sizeof length + length;
    size_t most = 64;
    for (size_t n = 0; n < length; n++) most += told.at[n] == ID ? LONGEST_ID : 1;
    longest = most > longest ? most : longest;
    return told;
}

static void read_script(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat told;
    if (file < 0 || fstat(file, &told)) fail(path);
    const char *at = mmap(NULL, told.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (at == MAP_FAILED) fail("mmap");
    memcpy(&script.parts, at, 4), memcpy(&script.requests, at + 4, 4), at += 8;
    Bytes *plain[] = {&script.path, &script.model, &script.listing, &script.refusal, &script.head};
    for (size_t n = 0; n < sizeof plain / sizeof *plain; n++) *plain[n] = taken(&at);
    Bytes **tables[] = {&script.part, &script.ending[0], &script.ending[1]};
    for (size_t n = 0; n < 3; n++) {
        *tables[n] = room(script.parts * sizeof(Bytes));
        for (uint32_t part = 0; part < script.parts; part++) (*tables[n])[part] = taken(&at);
    }
    size_t all = (size_t)script.requests * script.parts;
    int64_t *delays = room(all * sizeof *delays);
    memcpy(delays, at, all * sizeof *delays);
    script.delay_ns = delays;
    answers = room(script.requests * sizeof *answers), heap = room(script.requests * sizeof *heap), moments = room(all * 2 * sizeof *moments);
    chunks = room(script.requests * longest);
}

/* The bytes with the request's id in its places. */
static size_t written(char *to, Bytes told, const char *id) {
    size_t length = 0, id_length = strlen(id);
    for (size_t n = 0; n < told.length; n++) {
        if (told.at[n] == ID) memcpy(to + length, id, id_length), length += id_length;
        else to[length++] = told.at[n];
    }
    return length;
}

/* One chunk of the transfer coding. Source: RFC 9112, section 7.1. */
static size_t chunk(char *to, Bytes told, const char *id) {
    char body[longest];
    size_t length = written(body, told, id), head = sprintf(to, "%zx\r\n", length);
    memcpy(to + head, body, length), memcpy(to + head + length, "\r\n", 2);
    return head + length + 2;
}

/* --- connections ----------------------------------------------------------------------------------------------------------------- */

static void watch(Connection *one, int how, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = one->file};
    if (epoll_ctl(poller, how, one->file, &event)) fail("epoll_ctl");
}

static void drop(Connection *one) {
    if (one->answer) one->answer->to = NULL, one->answer->ended_ns = now_ns();
    connections[one->file] = NULL;
    close(one->file);
    free(one->in), free(one->out), free(one);
}

/* Sends, or keeps what the system does not take yet; whether it took all. A connection that is gone is found by its next event. */
static bool put(Connection *one, const char *bytes, size_t length) {
    ssize_t gone = one->out_length ? 0 : send(one->file, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (gone == (ssize_t)length) return true;
    gone = gone < 0 ? 0 : gone;
    size_t rest = length - gone, needs = one->out_from + one->out_length + rest;
    if (needs > one->out_room) {
        one->out = realloc(one->out, one->out_room = 2 * needs);
        if (!one->out) fail("realloc");
    }
    memcpy(one->out + one->out_from + one->out_length, bytes + gone, rest);
    one->out_length += rest;
    watch(one, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    return false;
}

static void put_rest(Connection *one) {
    ssize_t gone = send(one->file, one->out + one->out_from, one->out_length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (gone < 0) return;
    one->out_from += gone, one->out_length -= gone;
    if (!one->out_length) one->out_from = 0, watch(one, EPOLL_CTL_MOD, EPOLLIN);
}

/* --- what is under way: a heap by the next chunk's moment -------------------------------------------------------------------------- */

static int64_t due(uint32_t place) { return heap[place]->due_ns[heap[place]->sent]; }

static void swap(uint32_t one, uint32_t other) {
    Answer *kept = heap[one];
    heap[one] = heap[other], heap[other] = kept;
}

static void await(Answer *one) {
    one->next_length = chunk(one->next, script.part[one->sent], one->id);
    uint32_t place = waiting++;
    for (heap[place] = one; place && due(place) < due((place - 1) / 2); place = (place - 1) / 2) swap(place, (place - 1) / 2);
}

static Answer *soonest(void) {
    Answer *first = heap[0];
    heap[0] = heap[--waiting];
    for (uint32_t place = 0, child; (child = 2 * place + 1) < waiting; place = child) {
        if (child + 1 < waiting && due(child + 1) < due(child)) child++;
        if (due(place) <= due(child)) break;
        swap(place, child);
    }
    return first;
}

/* --- requests -------------------------------------------------------------------------------------------------------------------- */

static void record(Connection *to) {
    char *told, head[128];
    size_t length;
    FILE *lines = open_memstream(&told, &length);
    for (Answer *one = answers; one < answers + count; one++) {
        fprintf(lines, "{\"request_id\":\"%s\",\"number\":%u,\"path\":\"%.*s\",\"received_ns\":%lld,\"blocked\":%s,\"ended_ns\":", one->id, one->number,
                (int)script.path.length, script.path.at, (long long)one->received_ns, one->blocked ? "true" : "false");
        one->ended_ns ? fprintf(lines, "%lld", (long long)one->ended_ns) : fprintf(lines, "null");
        struct { const char *name; const int64_t *of; } lists[] = {{"due_ns", one->due_ns}, {"sent_ns", one->sent_ns}, {"tokens", NULL}};
        for (int list = 0; list < 3; list++) {
            fprintf(lines, ",\"%s\":[", lists[list].name);
            for (uint32_t n = 0; n < one->sent; n++) fprintf(lines, n ? ",%lld" : "%lld", lists[list].of ? (long long)lists[list].of[n] : 1LL);
            fputc(']', lines);
        }
        fputs("}\n", lines);
    }
    fclose(lines);
    sprintf(head, "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %zu\r\n\r\n", length);
    put(to, head, strlen(head)), put(to, told, length);
    free(told);
}

static void forget(void) {
    for (uint32_t n = 0; n < count; n++) {
        if (answers[n].to) answers[n].to->answer = NULL;
    }
    memset(answers, 0, count * sizeof *answers);
    count = waiting = 0;
}

/* What stands behind the end of a name in a JSON object; nothing where it is not there. In a text its quote would have a backslash before it. */
static const char *value(const char *body, size_t length, const char *name) {
    const char *found = memmem(body, length, name, strlen(name));
    return found ? found + strlen(name) + strspn(found + strlen(name), ": ") : "";
}

/* Begins the answer: its head goes at once, the rest at its times. Whether the script has it. */
static bool begin(Connection *to, const char *head, const char *body, size_t length) {
    uint32_t tokens = strtoul(value(body, length, "tokens\""), NULL, 10); /* max_tokens, or max_completion_tokens */
    bool told = memmem(body, length, script.model.at, script.model.length) && *value(body, length, "\"stream\"") == 't';
    if (!told || !tokens || tokens > script.parts || count == script.requests) return false;
    const char *id = strcasestr(head, "\r\nx-request-id:");
    Answer *one = &answers[count];
    *one = (Answer){.number = count, .tokens = tokens, .received_ns = to->first_ns, .to = to, .next = chunks + longest * count};
    one->usage = *value(body, length, "\"include_usage\"") == 't';
    one->due_ns = moments + 2 * (size_t)script.parts * count, one->sent_ns = one->due_ns + script.parts;
    for (uint32_t n = 0; n < tokens; n++) one->due_ns[n] = one->received_ns + script.delay_ns[(size_t)count * script.parts + n];
    if (id) {
        id += 15 + strspn(id + 15, " ");
        snprintf(one->id, sizeof one->id, "%.*s", (int)strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_."), id);
    } else sprintf(one->id, "known-%u", count);
    to->answer = one, count++;
    char bytes[longest];
    put(to, bytes, written(bytes, script.head, one->id));
    await(one);
    return true;
}

static void send_next(Answer *one) {
    one->sent_ns[one->sent] = now_ns();
    one->blocked |= !put(one->to, one->next, one->next_length);
    if (++one->sent < one->tokens) return await(one);
    char bytes[longest + 8];
    size_t length = chunk(bytes, script.ending[one->usage][one->tokens - 1], one->id);
    memcpy(bytes + length, "0\r\n\r\n", 5);
    put(one->to, bytes, length + 5);
    one->ended_ns = now_ns(), one->to->answer = NULL, one->to = NULL;
}

static void handle(Connection *one, const char *head, const char *body, size_t length) {
    Bytes path = script.path;
    if (!strncmp(head, "GET /record ", 12)) record(one);
    else if (!strncmp(head, "DELETE /record ", 15)) record(one), forget();
    else if (!strncmp(head, "GET ", 4)) put(one, script.listing.at, script.listing.length);
    else if (strncmp(head, "POST ", 5) || strncmp(head + 5, path.at, path.length) || head[5 + path.length] != ' ' || !begin(one, head, body, length))
        put(one, script.refusal.at, script.refusal.length);
}

/* What has come, and whole requests in it. */
static void take(Connection *one) {
    if (one->in_room - one->in_length < 4096) {
        one->in = realloc(one->in, one->in_room = 2 * one->in_room + 8192);
        if (!one->in) fail("realloc");
    }
    if (!one->in_length) one->first_ns = now_ns();
    ssize_t came = recv(one->file, one->in + one->in_length, one->in_room - one->in_length - 1, MSG_DONTWAIT);
    if (came < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (came <= 0) return drop(one);
    one->in_length += came, one->in[one->in_length] = 0;
    for (char *end; !one->answer && (end = strstr(one->in, "\r\n\r\n"));) {
        end[2] = 0;
        const char *told = strcasestr(one->in, "\r\ncontent-length:"), *body = end + 4;
        size_t length = told ? strtoul(told + 17, NULL, 10) : 0, all = body - one->in + length;
        end[2] = '\r';
        if (one->in_length < all) return;
        end[2] = 0;
        handle(one, one->in, body, length);
        one->in_length -= all;
        memmove(one->in, one->in + all, one->in_length + 1);
    }
}

static void welcome(void) {
    for (int file, one = 1; (file = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        if (file >= MOST_FILES) { close(file); continue; }
        setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connections[file] = room(sizeof(Connection));
        connections[file]->file = file;
        watch(connections[file], EPOLL_CTL_ADD, EPOLLIN);
    }
}

/* --- the loop -------------------------------------------------------------------------------------------------------------------- */

static void set(int64_t moment_ns) {
    struct itimerspec spec = {.it_value = {moment_ns / 1000000000LL, moment_ns % 1000000000LL}};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, NULL)) fail("timerfd_settime");
}

static void serve(int64_t spin_ns) {
    struct epoll_event events[MOST_EVENTS];
    for (;;) {
        bool soon = waiting && due(0) - spin_ns <= now_ns();
        if (waiting && !soon) set(due(0) - spin_ns);
        int found = epoll_wait(poller, events, MOST_EVENTS, soon ? 0 : -1);
        for (int n = 0; n < found; n++) {
            Connection *one = connections[events[n].data.fd];
            uint64_t rings;
            if (events[n].data.fd == timer) (void)!read(timer, &rings, sizeof rings);
            else if (events[n].data.fd == listener) welcome();
            else if (one && events[n].events == EPOLLOUT) put_rest(one);
            else if (one) take(one);
        }
        for (int64_t at_ns = now_ns(); waiting && due(0) <= at_ns;) {
            Answer *one = soonest();
            if (one->to) send_next(one);
        }
    }
}

int main(int given, char **words) {
    if (given < 2) return fprintf(stderr, "sender SCRIPT [SPIN_NS]\n"), 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < MOST_FILES ? files.rlim_max : MOST_FILES;
    setrlimit(RLIMIT_NOFILE, &files);
    read_script(words[1]);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&at, length) || listen(listener, 4096) || getsockname(listener, (struct sockaddr *)&at, &length)) fail("listen");
    poller = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    for (int n = 0; n < 2; n++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = n ? timer : listener};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event)) fail("epoll_ctl");
    }
    printf("http://127.0.0.1:%d\n", ntohs(at.sin_port)), fflush(stdout);
    /* Where the system lets it. */
    mlockall(MCL_CURRENT);
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = PRIORITY});
    serve(given > 2 ? atoll(words[2]) : 0);
}
