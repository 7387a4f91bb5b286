# The three kinds of target in this project: layers, tests and fuzzers. Every layer is a static library tempera_<layer>.
# Its unit tests are in the folder of its code as <name>_test.cpp, and are built as one executable per layer.

find_package(Threads REQUIRED)

add_library(tempera_flags INTERFACE)
target_include_directories(tempera_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_options(tempera_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion>)
# GCC 12 at -O3 sees overlapping copies in std::string where there are none (GCC bug 105651).
target_compile_options(tempera_flags INTERFACE $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict>)
target_link_libraries(tempera_flags INTERFACE Threads::Threads)
if(TEMPERA_SANITIZE)
  target_compile_options(tempera_flags INTERFACE -fsanitize=${TEMPERA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(tempera_flags INTERFACE -fsanitize=${TEMPERA_SANITIZE})
endif()

if(TEMPERA_FUZZERS)
  # A fuzzer is guided by the coverage of the libraries, not only of the fuzz target.
  target_compile_options(tempera_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# tempera_layer(NAME SOURCES... [LIBS ...]): the library tempera_NAME.
function(tempera_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(tempera_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(tempera_${name} PUBLIC tempera_flags ${ARG_LIBS})
endfunction()

# tempera_test(NAME SOURCES ... [LIBS ...] [LABELS ...]): the executable NAME, which ctest runs as one test.
function(tempera_test name)
  if(NOT TEMPERA_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE tempera_flags ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE
    TEMPERA_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    TEMPERA_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
    TEMPERA_REFERENCE="${PROJECT_SOURCE_DIR}/../shared/reference")
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  # Threads that spin while they wait do not make small problems faster, and take the cores of the tests that run at the
  # same time.
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" SKIP_RETURN_CODE 77 TIMEOUT 600
    ENVIRONMENT_MODIFICATION OMP_WAIT_POLICY=set:passive)
endfunction()

# tempera_fuzzer(NAME SOURCES ... [LIBS ...]): a libFuzzer target; only with TEMPERA_FUZZERS.
function(tempera_fuzzer name)
  if(NOT TEMPERA_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE tempera_flags ${ARG_LIBS})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()
