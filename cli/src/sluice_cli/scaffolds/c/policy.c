// Blocks what the detectors find suspicious, at a lower threshold than theirs. Needs no JSON, so it reads none.

#define EXPORT(name) __attribute__((export_name(#name))) name

__attribute__((import_module("guard"), import_name("feature"))) double feature(const char *name, unsigned size);

static char room[4 << 20];

static unsigned long long give(const char *json) {
  unsigned size = 0;
  while (json[size]) size++;
  return (unsigned long long)(unsigned long)json << 32 | size;
}

int EXPORT(guard_abi_version)(void) { return 1; }
void *EXPORT(guard_alloc)(unsigned size) { return size <= sizeof room ? room : 0; }
unsigned long long EXPORT(guard_validate_settings)(const char *json, unsigned size) { return give("{\"valid\":true}"); }
unsigned long long EXPORT(guard_evaluate)(const char *json, unsigned size) {
  return give(feature("prompt-injection", 16) >= 0.3 ? "{\"action\":\"block\",\"labels\":[\"suspicious\"]}"
                                                     : "{\"action\":\"allow\"}");
}
