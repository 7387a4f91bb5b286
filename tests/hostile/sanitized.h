// Whether this build has a sanitizer. It makes readers slower and keeps memory that was freed.
#pragma once

namespace tempera::test {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
inline constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kSanitized = false;
#endif
// The most seconds for one file.
inline constexpr double kMostSeconds = kSanitized ? 10 : 1;

}  // namespace tempera::test
