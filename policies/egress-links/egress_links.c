/* Blocks answers that link to hosts which the settings do not list: a link or an image can carry data out.
 *
 * A WASI command: JSON on standard input, a verdict on standard output.
 *
 * Settings: `hosts`, those that may be linked to, each with its subdomains.
 * An address is what browsers take for one: `https://host`, also with backslashes or one slash, and `//host` where an
 * attribute or a link begins. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS /* linear in the number of tokens */
#include "jsmn.h"

enum { MAX_SPANS = 256, MAX_HOST = 253 };

typedef struct {
  char *bytes;
  size_t size;
} text;

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static void *need(void *memory) {
  if (memory == NULL) exit(70); /* the policy's `onError` decides */
  return memory;
}

static text read_all(FILE *file) {
  text all = {NULL, 0};
  for (size_t room = 0, got = 1; got > 0; all.size += got) {
    if (room - all.size < 4096) all.bytes = need(realloc(all.bytes, room = room * 2 + 65536));
    got = fread(all.bytes + all.size, 1, room - all.size, file);
  }
  return all;
}

typedef struct {
  const char *source;
  jsmntok_t *tokens;
  int count;
} json;

static json parse(text source) {
  jsmn_parser parser;
  json parsed = {source.bytes, NULL, 0};
  jsmn_init(&parser);
  parsed.count = jsmn_parse(&parser, source.bytes, source.size, NULL, 0);
  if (parsed.count < 1) exit(65);
  parsed.tokens = need(calloc((size_t)parsed.count, sizeof *parsed.tokens));
  jsmn_init(&parser);
  if (jsmn_parse(&parser, source.bytes, source.size, parsed.tokens, (unsigned)parsed.count) != parsed.count) exit(65);
  return parsed;
}

/* The value of a key, or -1. Keys are plain words, so they need no unescaping. */
static int member(json parsed, int object, const char *key) {
  if (object < 0 || parsed.tokens[object].type != JSMN_OBJECT) return -1;
  for (int i = object + 1; i < parsed.count; i++) {
    jsmntok_t token = parsed.tokens[i];
    if (token.start > parsed.tokens[object].end) break;
    if (token.parent == object && (size_t)(token.end - token.start) == strlen(key) &&
        memcmp(parsed.source + token.start, key, strlen(key)) == 0)
      return i + 1;
  }
  return -1;
}

static uint32_t hex4(const char *digits) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) {
    char digit = digits[i];
    value = value << 4 | (uint32_t)(digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10);
  }
  return value;
}

static char *put(char *to, uint32_t point) {
  if (point < 0x80) {
    *to++ = (char)point;
  } else if (point < 0x800) {
    *to++ = (char)(0xC0 | point >> 6);
    *to++ = (char)(0x80 | (point & 63));
  } else if (point < 0x10000) {
    *to++ = (char)(0xE0 | point >> 12);
    *to++ = (char)(0x80 | (point >> 6 & 63));
    *to++ = (char)(0x80 | (point & 63));
  } else {
    *to++ = (char)(0xF0 | point >> 18);
    *to++ = (char)(0x80 | (point >> 12 & 63));
    *to++ = (char)(0x80 | (point >> 6 & 63));
    *to++ = (char)(0x80 | (point & 63));
  }
  return to;
}

/* A string's UTF-8; never longer than it is written. It may hold NUL. */
static text string(json parsed, int index) {
  if (index < 0 || parsed.tokens[index].type != JSMN_STRING) exit(65);
  const char *from = parsed.source + parsed.tokens[index].start, *end = parsed.source + parsed.tokens[index].end;
  char *bytes = need(malloc((size_t)(end - from) + 1)), *to = bytes;
  while (from < end) {
    if (*from != '\\') {
      *to++ = *from++;
      continue;
    }
    char escape = from[1];
    from += 2;
    if (escape == 'u') {
      uint32_t point = hex4(from);
      from += 4;
      if (point >= 0xD800 && point < 0xDC00 && end - from >= 6 && from[0] == '\\' && from[1] == 'u') {
        point = 0x10000 + ((point - 0xD800) << 10) + (hex4(from + 2) - 0xDC00);
        from += 6;
      }
      to = put(to, point);
    } else {
      *to++ = escape == 'n' ? '\n' : escape == 't' ? '\t' : escape == 'r' ? '\r' : escape == 'b' ? '\b'
              : escape == 'f' ? '\f' : escape;
    }
  }
  return (text){bytes, (size_t)(to - bytes)};
}

/* ---- looking ---------------------------------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c; }

static bool starts_with(text t, size_t at, const char *word) {
  size_t size = strlen(word);
  if (t.size - at < size) return false;
  for (size_t i = 0; i < size; i++)
    if (lower(t.bytes[at + i]) != word[i]) return false;
  return true;
}

static bool slash(char c) { return c == '/' || c == '\\'; }

/* After `(` of a link, `=` and quotation marks of an attribute, `<`, or `]:` of a link's definition. */
static bool address_follows(text t, size_t at) {
  while (at > 0 && (t.bytes[at - 1] == ' ' || t.bytes[at - 1] == '\n')) at--;
  if (at == 0) return false;
  return memchr("(\"'<=", t.bytes[at - 1], 5) != NULL || (at > 1 && t.bytes[at - 1] == ':' && t.bytes[at - 2] == ']');
}

/* Where the host of an address begins that begins here, or 0. */
static size_t host_at(text t, size_t at) {
  static const char *schemes[] = {"https:", "http:", "ftp:", "wss:", "ws:"};
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    if (!starts_with(t, at, schemes[i])) continue;
    size_t after = at + strlen(schemes[i]), host = after;
    while (host < t.size && slash(t.bytes[host])) host++;
    return host > after ? host : 0;
  }
  bool begins = t.size - at > 2 && slash(t.bytes[at]) && slash(t.bytes[at + 1]) && (unsigned char)t.bytes[at + 2] > ' ';
  return begins && address_follows(t, at) ? at + 2 : 0;
}

static size_t end_of(text t, size_t at, const char *stops) {
  while (at < t.size && (unsigned char)t.bytes[at] > ' ' && strchr(stops, t.bytes[at]) == NULL) at++;
  return at;
}

static bool listed(json parsed, int hosts, const char *host, size_t size) {
  if (size > 0 && host[size - 1] == '.') size--; /* the root's dot */
  for (int i = hosts + 1, left = parsed.tokens[hosts].size; left > 0; i++, left--) {
    text known = string(parsed, i);
    bool fits = size >= known.size && known.size > 0;
    for (size_t j = 0; fits && j < known.size; j++)
      fits = lower(host[size - known.size + j]) == lower(known.bytes[j]);
    fits = fits && (size == known.size || host[size - known.size - 1] == '.');
    free(known.bytes);
    if (fits) return true;
  }
  return false;
}

static void evaluate(json parsed) {
  text t = string(parsed, member(parsed, 0, "text")), stage = string(parsed, member(parsed, 0, "stage"));
  int hosts = member(parsed, member(parsed, 0, "settings"), "hosts");
  if (hosts < 0 || parsed.tokens[hosts].type != JSMN_ARRAY) exit(65);
  bool window = stage.size == 6 && memcmp(stage.bytes, "stream", 6) == 0;
  int found = 0;
  printf("{\"spans\":[");
  for (size_t at = 0; at < t.size && found < MAX_SPANS; at++) {
    size_t host = host_at(t, at);
    if (host == 0) continue;
    size_t end = end_of(t, host, "<>\"'`()[]");
    size_t stop = end_of(t, host, "<>\"'`()[]/\\?#,");
    if (window && stop == t.size) break; /* its end is still to come; the whole answer is looked at again */
    for (size_t i = host; i < stop; i++)
      if (t.bytes[i] == '@') host = i + 1; /* what comes before it is a name and a password */
    const char *colon = memchr(t.bytes + host, ':', stop - host);
    if (colon != NULL) stop = (size_t)(colon - t.bytes);
    if (stop - host > MAX_HOST || !listed(parsed, hosts, t.bytes + host, stop - host))
      printf("%s{\"start\":%zu,\"end\":%zu}", found++ ? "," : "", at, end > at ? end : at + 1);
    at = end > at ? end - 1 : at;
  }
  if (found)
    printf("],\"action\":\"block\",\"reason\":\"links to a host that is not listed\",\"labels\":[\"egress-link\"]}");
  else
    printf("],\"action\":\"allow\"}");
}

static void validate(json parsed) {
  int hosts = member(parsed, 0, "hosts");
  const char *message = "";
  if (hosts < 0 || parsed.tokens[hosts].type != JSMN_ARRAY || parsed.tokens[0].size != 1)
    message = "there is one setting, `hosts`, a list of host names";
  else
    for (int i = hosts + 1, left = parsed.tokens[hosts].size; left > 0; i++, left--) {
      if (parsed.tokens[i].type != JSMN_STRING) {
        message = "hosts: each is a host name";
        break;
      }
      text host = string(parsed, i);
      if (host.size == 0 || host.size > MAX_HOST || memchr("./", host.bytes[0], 2) || memchr(host.bytes, '/', host.size) ||
          memchr(host.bytes, '*', host.size) || memchr(host.bytes, ':', host.size))
        message = "hosts: each is a host name alone, such as example.com; its subdomains are included";
    }
  printf("{\"valid\":%s,\"message\":\"%s\"}", *message ? "false" : "true", message);
}

int main(int count, char **arguments) {
  json parsed = parse(read_all(stdin));
  if (count == 2 && strcmp(arguments[1], "evaluate") == 0)
    evaluate(parsed);
  else if (count == 2 && strcmp(arguments[1], "validate") == 0)
    validate(parsed);
  else
    return 64;
  return fflush(stdout) == 0 ? 0 : 74;
}
