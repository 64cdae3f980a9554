# /etc/bash_completion.d/directord: for directord and directoradm, and for ipvsadm and ldirectord when they are these programs.

# realserver and doctor: options anywhere, and a configuration file.
_directord_on_host() {
  local command=$1 word=$2 previous=$3 options='--engine --attach --help'
  [ "$command" = realserver ] && options='--apply --remove --via --as --vip --help'
  case $previous in
    --engine) mapfile -t COMPREPLY < <(compgen -W 'auto relay packet ebpf' -- "$word") ;;
    --attach) mapfile -t COMPREPLY < <(compgen -W 'auto xdp tc' -- "$word") ;;
    --via) mapfile -t COMPREPLY < <(compgen -W 'iptables arp ipip' -- "$word") ;;
    --as | --vip) COMPREPLY=() ;;
    *)
      case $word in
        -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
        *)
          mapfile -t COMPREPLY < <(
            compgen -f -- "$word"
            cd /etc/ha.d 2>/dev/null && compgen -f -X '!*.cf' -- "$word"
          )
          ;;
      esac
      ;;
  esac
}

# capture: interfaces; simulate: a packet. What they say about it comes from the kernel.
_directord_seeing() {
  local command=$1 word=$2 previous=$3 options='--every --count --after --ng --control --help'
  [ "$command" = simulate ] && options='--interface --flags --json --control --help'
  case $previous in
    --every | --count) COMPREPLY=() ;;
    --control) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    --interface) mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net)" -- "$word") ;;
    --flags) mapfile -t COMPREPLY < <(compgen -W 'S SA A PA FA R RA' -- "$word") ;;
    simulate) mapfile -t COMPREPLY < <(compgen -W "tcp udp $options" -- "$word") ;;
    *)
      [ "$command" = capture ] && options="$options $(ls /sys/class/net)"
      mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
      ;;
  esac
}

_directord() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  case ${COMP_WORDS[1]} in
    capture | simulate)
      if [ "$COMP_CWORD" -gt 1 ]; then
        _directord_seeing "${COMP_WORDS[1]}" "$word" "$previous"
        return
      fi
      ;;
    realserver | doctor)
      if [ "$COMP_CWORD" -gt 1 ]; then
        _directord_on_host "${COMP_WORDS[1]}" "$word" "$previous"
        return
      fi
      ;;
  esac
  case $previous in
    --engine) mapfile -t COMPREPLY < <(compgen -W 'auto relay packet ebpf' -- "$word") ;;
    --attach) mapfile -t COMPREPLY < <(compgen -W 'auto xdp tc' -- "$word") ;;
    --connections) COMPREPLY=() ;;
    --control) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    *)
      case $word in
        -*) mapfile -t COMPREPLY < <(compgen -W '-d -f --debug --foreground --engine --attach --connections --mss-clamp --control --no-monitor --sysctl --probe --json --help --version' -- "$word") ;;
        *)
          mapfile -t COMPREPLY < <(
            compgen -W 'start stop restart try-restart reload force-reload status check' -- "$word"
            [ "$COMP_CWORD" -eq 1 ] && compgen -W 'realserver doctor capture simulate' -- "$word"
            compgen -f -- "$word"
            cd /etc/ha.d 2>/dev/null && compgen -f -X '!*.cf' -- "$word"
          )
          ;;
      esac
      ;;
  esac
}

_directoradm() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=
  case $previous in
    -s | --scheduler) words='rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos none' ;;
    --tun-type) words='ipip gue gre' ;;
    --start-daemon | --stop-daemon) words='master backup' ;;
    -b | --sched-flags) words='sh-fallback sh-port mh-fallback mh-port flag-1 flag-2 flag-3' ;;
    --control)
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
    --proxy-protocol) words='v1 v2' ;;
    --proc) words='ip_vs ip_vs_conn ip_vs_stats' ;;
    # The services and real servers that are there.
    -t | --tcp-service) words=$("$1" -S -n 2>/dev/null | sed -n 's/^-A -t \(\S*\).*/\1/p') ;;
    -u | --udp-service) words=$("$1" -S -n 2>/dev/null | sed -n 's/^-A -u \(\S*\).*/\1/p') ;;
    -f | --fwmark-service) words=$("$1" -S -n 2>/dev/null | sed -n 's/^-A -f \(\S*\).*/\1/p') ;;
    -r | --real-server) words=$("$1" -S -n 2>/dev/null | sed -n 's/^-a .* -r \(\S*\).*/\1/p' | sort -u) ;;
    *)
      if [ "$COMP_CWORD" -eq 1 ]; then
        words='-A -E -D -C -R -S -a -e -d -L -Z --add-service --edit-service --delete-service --clear --restore --save
          --add-server --edit-server --delete-server --list --zero --set --start-daemon --stop-daemon --proc --help
          --version'
      else
        words='-t -u -f -s -p -M -o -b -r -g -m -i -w -x -y -n -c --tcp-service --udp-service --sctp-service
          --fwmark-service --ipv6 --scheduler --persistent --netmask --ops --pe --sched-flags --real-server --gatewaying
          --masquerading --ipip --weight --u-threshold --l-threshold --tun-type --tun-port --tun-nocsum --tun-csum
          --tun-remcsum --numeric --connection --timeout --daemon --stats --rate --thresholds --persistent-conn
          --tun-info --exact --nosort --mcast-interface --mcast-group --mcast-port --mcast-ttl --syncid --sync-maxlen
          --proxy-protocol --json --tables --control'
      fi
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  # Readline breaks words at colons; what stands before the last one is there already.
  if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
  fi
}

complete -F _directord directord ldirectord
complete -F _directoradm directoradm ipvsadm
