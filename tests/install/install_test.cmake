# Installs the build into a new folder. Builds and runs README's program with it twice: by find_package and by
# pkg-config. Both must draw the same picture as the installed bin/tempera with the installed model. Run by ctest with
# VERSION, SOURCE, BUILD, WORK, GENERATOR, COMPILER, LIBDIR, BINDIR, DATADIR.
cmake_minimum_required(VERSION 3.25)

# run(COMMAND...): runs it in WORK; its output is in `out`.
function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK}
    RESULT_VARIABLE status OUTPUT_VARIABLE printed ERROR_VARIABLE errors OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with ${status}\n${printed}\n${errors}")
  endif()
  set(out "${printed}" PARENT_SCOPE)
endfunction()

# The program must run in any folder, find the installed model and draw the reference picture.
function(check_program program)
  file(REMOVE ${WORK}/apple.png)
  run(${CMAKE_COMMAND} -E env XDG_DATA_DIRS=${prefix}/${DATADIR} ${program})
  string(FIND "${out}" ${SOURCE}/models in_source)
  if(NOT out MATCHES "/tempera/models/emoji-xl$" OR in_source EQUAL 0)
    message(FATAL_ERROR "${program} drew with '${out}', which is not the installed model")
  endif()
  run(${CMAKE_COMMAND} -E compare_files ${WORK}/apple.png ${WORK}/reference.png)
endfunction()

file(READ ${SOURCE}/tests/install/consumer/draw.cpp program_text)
file(READ ${SOURCE}/README.md readme)
string(FIND "${readme}" "${program_text}" place)
if(place EQUAL -1)
  message(FATAL_ERROR "README.md does not show tests/install/consumer/draw.cpp as it is")
endif()

set(prefix ${WORK}/prefix)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
run(${prefix}/${BINDIR}/tempera generate "a red apple" --device cpu --steps 4 --seed 1 --output reference.png)

run(${CMAKE_COMMAND} -S ${SOURCE}/tests/install/consumer -B by_cmake -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
  -DCMAKE_PREFIX_PATH=${prefix} -DTEMPERA_VERSION=${VERSION})
run(${CMAKE_COMMAND} --build by_cmake)
check_program(${WORK}/by_cmake/draw)

find_program(PKG_CONFIG pkg-config REQUIRED)
run(${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${prefix}/${LIBDIR}/pkgconfig
  ${PKG_CONFIG} --cflags --libs --static "tempera = ${VERSION}")
separate_arguments(flags UNIX_COMMAND "${out}")
run(${COMPILER} -std=c++20 ${SOURCE}/tests/install/consumer/draw.cpp -o by_pkg_config ${flags})
check_program(${WORK}/by_pkg_config)

file(REMOVE_RECURSE ${WORK})  # hundreds of megabytes
