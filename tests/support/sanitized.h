// kSanitized: whether a sanitizer is in this build, which allocates and calls the kernel on its own
// account.

#ifndef COAIO_TESTS_SUPPORT_SANITIZED_H_
#define COAIO_TESTS_SUPPORT_SANITIZED_H_

namespace coaio::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)  // g++
inline constexpr bool kSanitized = true;
#define COAIO_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#define COAIO_SANITIZED 1
#endif
#endif

#ifndef COAIO_SANITIZED
inline constexpr bool kSanitized = false;
#define COAIO_SANITIZED 0
#endif

}  // namespace coaio::testing

#endif  // COAIO_TESTS_SUPPORT_SANITIZED_H_
